import CJPEG
import Engine

/// JPEG by libjpeg-turbo. What the library makes of a truncated file is partly grey, and so it is broken; a file of
/// which all rows could be decoded is taken, whatever else is odd about it.
enum JPEGDecoder {
  static func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> ImageHeader {
    var header = CJPEGHeader()
    try ImageFault.reporting(CJPEG_MESSAGE) { cjpeg_read_header(bytes.baseAddress, bytes.count, &header, $0) }
    return try ImageHeader(
      .jpeg, channels: Int(header.channels), height: Int(header.height), width: Int(header.width),
      held: header.held, EXIF.orientation(ofJPEG: bytes))
  }

  /// Decodes at the smallest of the scales 1, 1/2, 1/4 and 1/8 whose shorter side is at least `shorterSide`;
  /// in grey where `channels` is 1.
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ header: ImageHeader, shorterSide: Int, channels: Int
  ) throws(ImageFault) -> Raster {
    let stored = header.stored
    let divisor = header.divisor(shorterSide: shorterSide)
    let shape = ImageShape(
      channels: stored.channels == 4 ? 4 : min(channels, stored.channels),
      height: (stored.height + divisor - 1) / divisor, width: (stored.width + divisor - 1) / divisor)
    try ImageHeader.require(height: shape.height, width: shape.width)
    // What a decoder that gives up leaves out must be something.
    var pixels = [UInt8](repeating: 0, count: shape.count)
    try ImageFault.reporting(CJPEG_MESSAGE) { message in
      cjpeg_decode(
        bytes.baseAddress, bytes.count, Int32(divisor), Int32(shape.channels), &pixels, pixels.count, message)
    }
    return shape.channels == 4 ? coloured(pixels, shape) : Raster(bytes: pixels, shape: shape)
  }

  /// CMYK as colours without a profile, byte by byte what Pillow's `convert("RGB")` makes of it: the amounts of ink are
  /// stored inverted, which is Adobe's way and everybody's.
  private static func coloured(_ inks: [UInt8], _ shape: ImageShape) -> Raster {
    let area = shape.height * shape.width
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * area) { buffer, initialised in
      for pixel in 0..<area {
        let white = Int(inks[4 * pixel + 3])
        for channel in 0..<3 {
          let product = (255 - Int(inks[4 * pixel + channel])) * white + 128
          buffer[3 * pixel + channel] = UInt8(white - (((product >> 8) + product) >> 8))
        }
      }
      initialised = 3 * area
    }
    return Raster(bytes: pixels, shape: ImageShape(channels: 3, height: shape.height, width: shape.width))
  }
}
