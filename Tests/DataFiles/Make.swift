import CTurboJPEG
import CPNG
import CZlib

/// Makes image files in the supported formats from their content.
package enum Make {
  struct Failure: Error {
    let what: String
  }

  /// Returns a JPEG of [H, W, C] bytes, by default with the best quality and without subsampling.
  package static func jpeg(
    _ pixels: [UInt8], height: Int, width: Int, channels: Int = 3, quality: Int32 = 100,
    subsampling: TJSAMP = TJSAMP_444, flags: Int32 = 0
  ) throws -> [UInt8] {
    let encoder = tjInitCompress()
    defer { tjDestroy(encoder) }
    let format = [1: TJPF_GRAY, 3: TJPF_RGB, 4: TJPF_CMYK][channels] ?? TJPF_RGB
    var (buffer, size): (UnsafeMutablePointer<UInt8>?, UInt) = (nil, 0)
    let sampling = channels == 1 ? TJSAMP_GRAY : subsampling
    let status = tjCompress2(
      encoder, pixels, Int32(width), 0, Int32(height), Int32(format.rawValue), &buffer, &size,
      Int32(sampling.rawValue), quality, flags)
    defer { tjFree(buffer) }
    guard status == 0, let buffer else { throw Failure(what: String(cString: tjGetErrorStr2(encoder))) }
    return Array(UnsafeBufferPointer(start: buffer, count: Int(size)))
  }

  /// Returns a JPEG with an EXIF orientation in either byte order.
  package static func oriented(
    _ jpeg: [UInt8], _ orientation: Int, bigEndian: Bool = false, long: Bool = false
  ) -> [UInt8] {
    inserting(
      marker: 0xE1, Array("Exif\0\0".utf8) + exif(orientation, bigEndian: bigEndian, long: long), into: jpeg)
  }

  /// Returns EXIF data with an orientation, as a SHORT or as a LONG.
  package static func exif(_ orientation: Int, bigEndian: Bool = false, long: Bool = false) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      let bytes = (0..<count).map { UInt8(value >> (8 * $0) & 0xFF) }
      return bigEndian ? bytes.reversed() : bytes
    }
    let value = long ? number(orientation, 4) : number(orientation, 2) + [0, 0]
    let entry = number(0x0112, 2) + number(long ? 4 : 3, 2) + number(1, 4) + value
    return Array((bigEndian ? "MM" : "II").utf8) + number(42, 2) + number(8, 4) + number(1, 2) + entry
      + number(0, 4)
  }

  /// Returns a baseline JPEG of planes of [H, W] bytes, each in a separate scan. `adobe` is the colour transform in
  /// Adobe's segment: 0 for none, 1 for YCbCr, 2 for YCCK.
  package static func jpeg(scans planes: [[UInt8]], height: Int, width: Int, adobe: UInt8? = nil) throws
    -> [UInt8]
  {
    var (tables, scans): ([UInt8], [UInt8]) = ([], [])
    for (index, plane) in planes.enumerated() {
      let grey = try jpeg(plane, height: height, width: width, channels: 1)
      var offset = 2
      while grey[offset + 1] != 0xDA {
        let end = offset + 2 + Int(grey[offset + 2]) << 8 + Int(grey[offset + 3])
        if index == 0 && [0xDB, 0xC4].contains(grey[offset + 1]) { tables += grey[offset..<end] }
        offset = end
      }
      scans += [0xFF, 0xDA, 0, 8, 1, UInt8(index + 1), 0, 0, 63, 0] as [UInt8]
      scans += grey[(offset + 10)..<(grey.count - 2)]
    }
    var file: [UInt8] = [0xFF, 0xD8] + tables
    file += [0xFF, 0xC0, 0, UInt8(8 + 3 * planes.count), 8] as [UInt8]
    file += big(height, 2) + big(width, 2)
    file.append(UInt8(planes.count))
    for index in planes.indices { file += [UInt8(index + 1), 0x11, 0] as [UInt8] }
    file += scans
    file += [0xFF, 0xD9] as [UInt8]
    guard let adobe else { return file }
    return inserting(marker: 0xEE, Array("Adobe".utf8) + [0, 100, 0, 0, 0, 0, adobe], into: file)
  }

  /// Returns a JPEG with an additional segment after its start.
  package static func inserting(marker: UInt8, _ body: [UInt8], into jpeg: [UInt8]) -> [UInt8] {
    let length = body.count + 2
    return jpeg[..<2] + [0xFF, marker, UInt8(length >> 8), UInt8(length & 0xFF)] + body + jpeg[2...]
  }

  /// Returns a PNG of [H, W, C] bytes, C 1 to 4: grey, grey and alpha, colour, colour and alpha.
  package static func png(_ pixels: [UInt8], height: Int, width: Int, channels: Int = 3) throws -> [UInt8] {
    try png(pixels, height, width, format: [1: 0, 2: 1, 3: 2, 4: 3][channels] ?? 2, palette: nil)
  }

  /// Returns a PNG of indices into a palette of [n, 3] bytes.
  package static func png(indices: [UInt8], palette: [UInt8], height: Int, width: Int) throws -> [UInt8] {
    try png(
      indices, height, width, format: UInt32(PNG_FORMAT_FLAG_COLORMAP | PNG_FORMAT_FLAG_COLOR),
      palette: palette)
  }

  private static func png(
    _ pixels: [UInt8], _ height: Int, _ width: Int, format: UInt32, palette: [UInt8]?
  ) throws -> [UInt8] {
    var image = png_image()
    defer { png_image_free(&image) }
    image.version = UInt32(PNG_IMAGE_VERSION)
    (image.width, image.height, image.format) = (UInt32(width), UInt32(height), format)
    image.colormap_entries = UInt32((palette?.count ?? 0) / 3)
    var size = png_alloc_size_t(pixels.count * 2 + 8192)
    var file = [UInt8](repeating: 0, count: Int(size))
    guard png_image_write_to_memory(&image, &file, &size, 0, pixels, 0, palette) != 0 else {
      throw Failure(what: "PNG")
    }
    return Array(file.prefix(Int(size)))
  }

  /// Returns a PNG assembled from its chunks, for features that libpng's simplified API does not write.
  package static func png(
    height: Int, width: Int, depth: UInt8, colour: UInt8, rows: [UInt8], chunks: [(String, [UInt8])] = [],
    behind: [(String, [UInt8])] = [], interlaced: Bool = false
  ) -> [UInt8] {
    let header = big(width, 4) + big(height, 4) + [depth, colour, 0, 0, interlaced ? 1 : 0]
    var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    var all: [(String, [UInt8])] = [("IHDR", header)] + chunks
    all.append(("IDAT", zlib(rows)))
    all += behind
    all.append(("IEND", []))
    for (name, body) in all {
      let part = Array(name.utf8) + body
      file += big(body.count, 4) + part + big(Int(crc32(0, part, UInt32(part.count))), 4)
    }
    return file
  }

  /// Returns the unfiltered rows of [H, W] pixels of `pixelBytes` bytes for a PNG, in order or in the seven passes of
  /// Adam7.
  package static func rows(
    _ pixels: [UInt8], height: Int, width: Int, pixelBytes: Int, interlaced: Bool
  ) -> [UInt8] {
    let adam7 = [
      (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
    ]
    var rows: [UInt8] = []
    for (top, left, down, across) in interlaced ? adam7 : [(0, 0, 1, 1)] where left < width {
      for y in stride(from: top, to: height, by: down) {
        rows.append(0)
        for x in stride(from: left, to: width, by: across) {
          let start = (y * width + x) * pixelBytes
          rows += pixels[start..<start + pixelBytes]
        }
      }
    }
    return rows
  }
}
