import CPNG
import Foundation

/// Writes PNG by libpng.
enum PNGEncoder {
  /// A file of [H, W, C] bytes, C 1 or 3.
  static func encode(_ pixels: [UInt8], channels: Int, height: Int, width: Int) throws(ImageFault) -> Data {
    precondition(
      (channels == 1 || channels == 3) && pixels.count == channels * height * width,
      "\(pixels.count) bytes for \(height) x \(width) x \(channels)")
    var image = png_image()
    defer { png_image_free(&image) }
    image.version = UInt32(PNG_IMAGE_VERSION)
    (image.width, image.height) = (UInt32(width), UInt32(height))
    image.format = UInt32(channels == 3 ? PNG_FORMAT_FLAG_COLOR : 0)
    // What the file takes at most; libpng's macro of that name is not seen from Swift. Zlib adds 5 bytes to
    // 16 KB that do not shrink, and every row has its filter's byte; headers and trailers are under 1 KB.
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
