import CJPEG
import CPNG
import CZlib
import Datasets
import Engine
import Foundation
import Testing

/// A folder for a test's files, which is gone after the test.
final class TestFiles {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file, in folders that are made for it, and returns its path.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = URL(fileURLWithPath: path + "/" + name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }
}

/// Bytes in the formats that images are found in, made here from what is in them.
enum Make {
  struct Failure: Error {
    let what: String
  }

  /// A JPEG of [H, W, C] bytes, at the best quality and without subsampling unless told.
  static func jpeg(
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

  /// A JPEG with EXIF's orientation in it, in either order of bytes.
  static func oriented(_ jpeg: [UInt8], _ orientation: Int, bigEndian: Bool = false) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      let bytes = (0..<count).map { UInt8(value >> (8 * $0) & 0xFF) }
      return bigEndian ? bytes.reversed() : bytes
    }
    let entry = number(0x0112, 2) + number(3, 2) + number(1, 4) + number(orientation, 2) + [0, 0]
    let tiff =
      Array((bigEndian ? "MM" : "II").utf8) + number(42, 2) + number(8, 4) + number(1, 2) + entry
      + number(0, 4)
    return inserting(marker: 0xE1, Array("Exif\0\0".utf8) + tiff, into: jpeg)
  }

  /// A JPEG with another segment behind its start.
  static func inserting(marker: UInt8, _ body: [UInt8], into jpeg: [UInt8]) -> [UInt8] {
    let length = body.count + 2
    return jpeg[..<2] + [0xFF, marker, UInt8(length >> 8), UInt8(length & 0xFF)] + body + jpeg[2...]
  }

  /// A PNG of [H, W, C] bytes, C 1 to 4: grey, grey and alpha, colour, colour and alpha.
  static func png(_ pixels: [UInt8], height: Int, width: Int, channels: Int = 3) throws -> [UInt8] {
    try png(pixels, height, width, format: [1: 0, 2: 1, 3: 2, 4: 3][channels] ?? 2, palette: nil)
  }

  /// A PNG of indices into a palette of [n, 3] bytes.
  static func png(indices: [UInt8], palette: [UInt8], height: Int, width: Int) throws -> [UInt8] {
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

  /// A PNG put together by hand: what libpng's simplified API does not write.
  static func png(
    height: Int, width: Int, depth: UInt8, colour: UInt8, rows: [UInt8], chunks: [(String, [UInt8])] = []
  ) -> [UInt8] {
    let header = big(width, 4) + big(height, 4) + [depth, colour, 0, 0, 0]
    var file: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    for (name, body) in [("IHDR", header)] + chunks + [("IDAT", zlib(rows)), ("IEND", [])] {
      let part = Array(name.utf8) + body
      file += big(body.count, 4) + part + big(Int(crc32(0, part, UInt32(part.count))), 4)
    }
    return file
  }

  static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(value >> (8 * $0) & 0xFF) }
  }

  static func little(_ value: Int, _ count: Int) -> [UInt8] { big(value, count).reversed() }

  // MARK: - Deflate

  static func zlib(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: MAX_WBITS) }
  static func gzip(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: MAX_WBITS + 16) }
  static func deflate(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: -MAX_WBITS) }

  private static func deflated(_ bytes: [UInt8], windowBits: Int32) -> [UInt8] {
    var (stream, input) = (z_stream(), bytes)
    return withUnsafeMutablePointer(to: &stream) { stream in
      deflateInit2_(
        stream, 6, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      defer { deflateEnd(stream) }
      var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 100 + 256)
      let left = input.withUnsafeMutableBufferPointer { input in
        output.withUnsafeMutableBufferPointer { output in
          (stream.pointee.next_in, stream.pointee.avail_in) = (input.baseAddress, UInt32(input.count))
          (stream.pointee.next_out, stream.pointee.avail_out) = (output.baseAddress, UInt32(output.count))
          CZlib.deflate(stream, Z_FINISH)
          return Int(stream.pointee.avail_out)
        }
      }
      return Array(output.dropLast(left))
    }
  }

  // MARK: - Arrays

  /// An array in NumPy's format, version 1.
  static func npy(_ shape: [Int], _ bytes: [UInt8], type: String = "|u1", fortran: Bool = false) -> [UInt8] {
    let sides = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let order = fortran ? "True" : "False"
    let text = "{'descr': '\(type)', 'fortran_order': \(order), 'shape': (\(sides)), }"
    let padded = text + String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0] + little(padded.utf8.count, 2) + Array(padded.utf8) + bytes
  }

  /// A zip archive; NumPy's have the 64-bit extra field in their local headers.
  static func zip(_ members: [(name: String, bytes: [UInt8])], deflated: Bool = true) -> [UInt8] {
    var (file, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, bytes) in members {
      let packed = deflated ? deflate(bytes) : bytes
      let checksum = little(Int(crc32(0, bytes, UInt32(bytes.count))), 4)
      let shared =
        little(20, 2) + little(0, 2) + little(deflated ? 8 : 0, 2) + little(0, 4) + checksum
        + little(packed.count, 4) + little(bytes.count, 4) + little(name.utf8.count, 2)
      directory +=
        little(0x0201_4B50, 4) + little(20, 2) + shared + little(0, 2 + 2 + 2 + 2 + 4) + little(file.count, 4)
        + Array(name.utf8)
      file += little(0x0403_4B50, 4) + shared + little(4, 2) + Array(name.utf8) + [1, 0, 0, 0] + packed
    }
    let end =
      little(0x0605_4B50, 4) + little(0, 4) + little(members.count, 2) + little(members.count, 2)
      + little(directory.count, 4) + little(file.count, 4) + little(0, 2)
    return file + directory + end
  }

  /// An IDX file of bytes.
  static func idx(_ sides: [Int], _ bytes: [UInt8]) -> [UInt8] {
    [0, 0, 8, UInt8(sides.count)] + sides.flatMap { big($0, 4) } + bytes
  }

  /// `count` bytes that follow from a seed.
  static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = RandomNumbers(seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
  }
}

extension ImageSet {
  /// An image's bytes, planar.
  func bytes(_ index: Int) -> [UInt8] { withImage(index) { Array($0.bytes) } }
  func shape(_ index: Int) -> ImageShape { withImage(index) { $0.shape } }
}
