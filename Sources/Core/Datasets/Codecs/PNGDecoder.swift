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
    image.format = UInt32(shape.channels == 3 ? PNG_FORMAT_FLAG_COLOR : 0)
    // Otherwise libpng takes 16-bit numbers for linear ones, which they are in hardly any file.
    image.flags |= UInt32(PNG_IMAGE_FLAG_16BIT_sRGB)
    var (white, status) = (png_color(red: 255, green: 255, blue: 255), Int32(0))
    let pixels = [UInt8](unsafeUninitializedCapacity: shape.count) { buffer, initialised in
      // What a decoder that gives up leaves out must be something.
      buffer.initialize(repeating: 0)
      status = png_image_finish_read(&image, &white, buffer.baseAddress, 0, nil)
      initialised = shape.count
    }
    guard status != 0 else { throw fault(image) }
    return Raster(bytes: pixels, shape: shape)
  }

  private static func begin(
    _ image: inout png_image, _ bytes: UnsafeBufferPointer<UInt8>
  ) throws(ImageFault) -> ImageHeader {
    image.version = UInt32(PNG_IMAGE_VERSION)
    guard png_image_begin_read_from_memory(&image, bytes.baseAddress, bytes.count) != 0 else {
      throw fault(image)
    }
    return try ImageHeader(
      .png, channels: image.format & UInt32(PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1, height: Int(image.height),
      width: Int(image.width))
  }

  static func fault(_ image: png_image) -> ImageFault {
    let message = withUnsafeBytes(of: image.message) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    return ImageFault(message.isEmpty ? "it cannot be decoded" : message)
  }
}
