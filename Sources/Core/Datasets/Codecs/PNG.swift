import CPNG
import Engine
import Foundation

/// Decodes PNG with libpng: every bit depth becomes bytes, palettes become colours, and transparency is blended with
/// white.
enum PNGDecoder {
  static func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> ImageHeader {
    var header = CPNGHeader()
    try ImageFault.reporting(CPNG_MESSAGE) { cpng_read_header(bytes.baseAddress, bytes.count, &header, $0) }
    let (height, width, channels) = (Int(header.height), Int(header.width), Int(header.channels))
    try ImageHeader.require(height: height, width: width)
    return try ImageHeader(
      .png, channels: channels, height: height, width: width,
      held: height * width * (channels + Int(header.is_transparent)), EXIF.orientation(ofPNG: bytes))
  }

  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ header: ImageHeader
  ) throws(ImageFault) -> Raster {
    let shape = header.stored
    // Initialises the rows that a failing decoder does not write.
    var pixels = [UInt8](repeating: 0, count: header.held)
    try ImageFault.reporting(CPNG_MESSAGE) {
      cpng_decode(bytes.baseAddress, bytes.count, &pixels, pixels.count, $0)
    }
    if header.held > shape.count {
      pixels.withUnsafeMutableBufferPointer { layOnWhite($0, channels: shape.channels) }
      pixels.removeLast(header.held - shape.count)
    }
    return Raster(bytes: pixels, shape: shape)
  }

  /// Blends pixels with white by their alpha channel and compacts them at the front of the buffer, without alpha. It
  /// blends the encoded values, as browsers do; libpng would blend linear light.
  private static func layOnWhite(_ buffer: UnsafeMutableBufferPointer<UInt8>, channels: Int) {
    for pixel in 0..<buffer.count / (channels + 1) {
      let (from, to) = (pixel * (channels + 1), pixel * channels)
      let opacity = Int(buffer[from + channels])
      for channel in 0..<channels {
        let mixed = Int(buffer[from + channel]) * opacity + 255 * (255 - opacity)
        buffer[to + channel] = UInt8((mixed + 127) / 255)
      }
    }
  }
}

/// Encodes PNG with libpng.
enum PNGEncoder {
  /// Returns a PNG file of [H, W, C] bytes, C 1 or 3.
  static func encode(_ pixels: [UInt8], channels: Int, height: Int, width: Int) throws(ImageFault) -> Data {
    precondition(
      (channels == 1 || channels == 3) && pixels.count == channels * height * width,
      "\(pixels.count) bytes for \(height) x \(width) x \(channels)")
    var image = png_image()
    defer { png_image_free(&image) }
    image.version = UInt32(PNG_IMAGE_VERSION)
    (image.width, image.height) = (UInt32(width), UInt32(height))
    image.format = UInt32(channels == 3 ? PNG_FORMAT_FLAG_COLOR : 0)
    // The maximum size of the file; libpng's macro for it is not visible from Swift. Zlib adds 5 bytes to 16 KB that do
    // not compress, and every row has a filter byte; headers and trailers are under 1 KB.
    let raw = pixels.count + height
    var count = png_alloc_size_t(raw + raw / 1024 + 4096)
    var data = Data(count: Int(count))
    let status = data.withUnsafeMutableBytes { place in
      png_image_write_to_memory(&image, place.baseAddress, &count, 0, pixels, 0, nil)
    }
    guard status != 0 else {
      throw ImageFault(
        withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return data.prefix(Int(count))
  }
}
