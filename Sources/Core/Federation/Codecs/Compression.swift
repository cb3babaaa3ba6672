import CDeflate
import Foundation

/// Compression in zlib's format, and its checksum.
package enum Compression {
  /// Compresses at a level of 1 (fast) to 12.
  package static func deflate(_ bytes: [UInt8], level: Int32) -> Data {
    guard let compressor = libdeflate_alloc_compressor(level) else {
      preconditionFailure("no memory for a compressor of level \(level)")
    }
    defer { libdeflate_free_compressor(compressor) }
    var data = Data(count: libdeflate_zlib_compress_bound(compressor, bytes.count))
    let count = data.withUnsafeMutableBytes { to in
      libdeflate_zlib_compress(compressor, bytes, bytes.count, to.baseAddress, to.count)
    }
    precondition(count > 0, "\(bytes.count) bytes do not fit into what they are said to fit into")
    return data.prefix(count)
  }

  /// Decompresses exactly `count` bytes; nil if the stream is damaged or has another length. Allocates no more than
  /// `count` bytes, whatever the stream claims.
  package static func inflate(_ data: Data, count: Int) -> [UInt8]? {
    guard let decompressor = libdeflate_alloc_decompressor() else {
      preconditionFailure("no memory for a decompressor")
    }
    defer { libdeflate_free_decompressor(decompressor) }
    var isWhole = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
      var (used, length) = (0, 0)
      let status = data.withUnsafeBytes {
        libdeflate_zlib_decompress_ex(
          decompressor, $0.baseAddress, $0.count, buffer.baseAddress, count, &used, &length)
      }
      isWhole = status == LIBDEFLATE_SUCCESS && length == count && used == data.count
      initialised = isWhole ? count : 0
    }
    return isWhole ? bytes : nil
  }

  /// Returns the CRC-32 of `bytes`, continued from the CRC-32 `before` of preceding bytes; 0 if there are none.
  package static func checksum(_ bytes: Data, after before: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { libdeflate_crc32(before, $0.baseAddress, $0.count) }
  }

  /// Splits numbers of `width` bytes into one plane per byte, which groups the similar high bytes.
  package static func shuffle(_ bytes: UnsafeRawBufferPointer, width: Int) -> [UInt8] {
    let count = bytes.count / width
    return [UInt8](unsafeUninitializedCapacity: bytes.count) { to, initialised in
      for plane in 0..<width {
        for index in 0..<count { to[plane * count + index] = bytes[index * width + plane] }
      }
      initialised = count * width
    }
  }

  /// Restores the numbers from planes.
  package static func unshuffle(
    _ planes: ArraySlice<UInt8>, width: Int, into to: UnsafeMutableRawBufferPointer
  ) {
    let count = planes.count / width
    planes.withUnsafeBufferPointer { from in
      for plane in 0..<width {
        for index in 0..<count { to[index * width + plane] = from[plane * count + index] }
      }
    }
  }
}
