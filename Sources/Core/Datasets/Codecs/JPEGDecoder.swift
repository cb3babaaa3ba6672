import CJPEG
import Engine

/// JPEG by libjpeg-turbo. A file that the library warns about is broken: what it makes of a truncated one is
/// partly grey.
enum JPEGDecoder {
  static func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> ImageHeader {
    let decoder = tjInitDecompress()
    defer { tjDestroy(decoder) }
    var (width, height, subsampling, colours): (Int32, Int32, Int32, Int32) = (0, 0, 0, -1)
    let status = tjDecompressHeader3(
      decoder, bytes.baseAddress, UInt(bytes.count), &width, &height, &subsampling, &colours)
    // An unusual subsampling is an error of this call alone: all else is known, and decoding does not ask.
    guard status == 0 || (subsampling < 0 && width > 0 && height > 0 && colours >= 0) else {
      throw fault(decoder)
    }
    guard colours != TJCS_CMYK.rawValue, colours != TJCS_YCCK.rawValue else {
      throw ImageFault("it is CMYK, whose colours are not known without its profile")
    }
    let channels = colours == TJCS_GRAY.rawValue ? 1 : 3
    // Of a progressive one all coefficients, of two bytes each.
    return try ImageHeader(
      .jpeg, channels: channels, height: Int(height), width: Int(width),
      bytesHeld: JPEGSegments.areProgressive(bytes) ? 2 * channels : 0, EXIF.orientation(ofJPEG: bytes))
  }

  /// Decodes at the smallest of the scales 1, 1/2, 1/4 and 1/8 whose shorter side is at least `shorterSide`;
  /// in grey where `channels` is 1.
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ header: ImageHeader, shorterSide: Int, channels: Int
  ) throws(ImageFault) -> Raster {
    let decoder = tjInitDecompress()
    defer { tjDestroy(decoder) }
    let stored = header.orientation.swapsAxes
    let (height, width) =
      stored ? (header.shape.width, header.shape.height) : (header.shape.height, header.shape.width)
    let divisor = header.divisor(shorterSide: shorterSide)
    let shape = ImageShape(
      channels: min(channels, header.shape.channels), height: (height + divisor - 1) / divisor,
      width: (width + divisor - 1) / divisor)
    try ImageHeader.require(height: shape.height, width: shape.width)
    var status: Int32 = 0
    let pixels = [UInt8](unsafeUninitializedCapacity: shape.count) { buffer, initialised in
      // What a decoder that gives up leaves out must be something.
      buffer.initialize(repeating: 0)
      status = tjDecompress2(
        decoder, bytes.baseAddress, UInt(bytes.count), buffer.baseAddress, Int32(shape.width), 0,
        Int32(shape.height), shape.channels == 1 ? Int32(TJPF_GRAY.rawValue) : Int32(TJPF_RGB.rawValue),
        TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS)
      initialised = shape.count
    }
    guard status == 0 else { throw fault(decoder) }
    return Raster(bytes: pixels, shape: shape)
  }

  private static func fault(_ decoder: tjhandle?) -> ImageFault {
    ImageFault(tjGetErrorStr2(decoder).map { String(cString: $0) } ?? "it cannot be decoded")
  }
}
