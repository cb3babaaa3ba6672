import CZlib
import Engine

/// Arrays, archives and compression.
extension Make {
  /// Returns a number as big-endian bytes.
  package static func big(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(value >> (8 * $0) & 0xFF) }
  }

  /// Returns a number as little-endian bytes.
  package static func little(_ value: Int, _ count: Int) -> [UInt8] { big(value, count).reversed() }

  /// Returns deflated bytes in the zlib format (RFC 1950).
  package static func zlib(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: MAX_WBITS) }

  /// Returns deflated bytes in the gzip format (RFC 1952).
  package static func gzip(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: MAX_WBITS + 16) }

  /// Returns raw deflated bytes (RFC 1951).
  package static func deflate(_ bytes: [UInt8]) -> [UInt8] { deflated(bytes, windowBits: -MAX_WBITS) }

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

  /// Returns an array in NumPy's format, version 1.
  package static func npy(_ shape: [Int], _ bytes: [UInt8], type: String = "|u1", fortran: Bool = false)
    -> [UInt8]
  {
    let sides = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let order = fortran ? "True" : "False"
    let text = "{'descr': '\(type)', 'fortran_order': \(order), 'shape': (\(sides)), }"
    let padded = text + String(repeating: " ", count: 63 - (10 + text.utf8.count) % 64) + "\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0] + little(padded.utf8.count, 2) + Array(padded.utf8) + bytes
  }

  /// Returns a zip archive with the 64-bit extra field in its local headers, as NumPy writes it.
  package static func zip(_ members: [(name: String, bytes: [UInt8])], deflated: Bool = true) -> [UInt8] {
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

  /// Returns an IDX file of bytes.
  package static func idx(_ sides: [Int], _ bytes: [UInt8]) -> [UInt8] {
    [0, 0, 8, UInt8(sides.count)] + sides.flatMap { big($0, 4) } + bytes
  }

  /// Returns `count` bytes generated from a seed.
  package static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = RandomNumbers(seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
  }
}
