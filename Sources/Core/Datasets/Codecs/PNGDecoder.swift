import CPNG
import Engine

/// PNG by libpng: any depth of bits as bytes, palettes as colours. What is transparent lies on white, as on a page.
enum PNGDecoder {
  static func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> ImageHeader {
    var image = png_image()
    defer { png_image_free(&image) }
    return try begin(&image, bytes)
  }

  static func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> Raster {
    var image = png_image()
    defer { png_image_free(&image) }
    let shape = try begin(&image, bytes).shape
    let isTransparent = image.format & UInt32(PNG_FORMAT_FLAG_ALPHA) != 0
    image.format = UInt32(
      (shape.channels == 3 ? PNG_FORMAT_FLAG_COLOR : 0) | (isTransparent ? PNG_FORMAT_FLAG_ALPHA : 0))
    // Otherwise libpng takes 16-bit numbers for linear ones, which they are in hardly any file.
    image.flags |= UInt32(PNG_IMAGE_FLAG_16BIT_sRGB)
    var status: Int32 = 0
    let stored = shape.height * shape.width * (shape.channels + (isTransparent ? 1 : 0))
    let pixels = [UInt8](unsafeUninitializedCapacity: stored) { buffer, initialised in
      // What a decoder that gives up leaves out must be something.
      buffer.initialize(repeating: 0)
      status = png_image_finish_read(&image, nil, buffer.baseAddress, 0, nil)
      if isTransparent { layOnWhite(buffer, channels: shape.channels) }
      initialised = shape.count
    }
    guard status != 0 else { throw fault(image) }
    return Raster(bytes: pixels, shape: shape)
  }

  /// Puts pixels with an opacity behind each at the front of the buffer, without it. The bytes are mixed as they are,
  /// which is what browsers do; libpng would mix amounts of light.
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

  private static func begin(
    _ image: inout png_image, _ bytes: UnsafeBufferPointer<UInt8>
  ) throws(ImageFault) -> ImageHeader {
    image.version = UInt32(PNG_IMAGE_VERSION)
    guard png_image_begin_read_from_memory(&image, bytes.baseAddress, bytes.count) != 0 else {
      throw fault(image)
    }
    let channels = image.format & UInt32(PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1
    let opacities = image.format & UInt32(PNG_FORMAT_FLAG_ALPHA) != 0 ? 1 : 0
    return try ImageHeader(
      .png, channels: channels, height: Int(image.height), width: Int(image.width),
      bytesHeld: channels + opacities)
  }

  static func fault(_ image: png_image) -> ImageFault {
    let message = withUnsafeBytes(of: image.message) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    return ImageFault(message.isEmpty ? "it cannot be decoded" : message)
  }
}
