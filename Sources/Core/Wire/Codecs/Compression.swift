import CZlib
import Foundation

/// zlib, in and out.
enum Compression {
  /// Compressed at a level of 1 (fast) to 9.
  static func deflate(_ bytes: [UInt8], level: Int32) -> Data {
    var count = compressBound(uLong(bytes.count))
    var data = Data(count: Int(count))
    let status = data.withUnsafeMutableBytes { to in
      compress2(to.bindMemory(to: Bytef.self).baseAddress, &count, bytes, uLong(bytes.count), level)
    }
    precondition(status == Z_OK, "zlib fails with \(status), which it does only without memory")
    return data.prefix(Int(count))
  }

  /// Exactly `count` bytes; nil where the stream is damaged, or holds more or fewer. No more than that is ever
  /// allocated, whatever the stream claims.
  static func inflate(_ data: Data, count: Int) -> [UInt8]? {
    var isWhole = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
      var (length, used) = (uLongf(count), uLong(data.count))
      let status = data.withUnsafeBytes {
        uncompress2(
          buffer.baseAddress, &length, $0.bindMemory(to: Bytef.self).baseAddress, &used)
      }
      isWhole = status == Z_OK && Int(length) == count && Int(used) == data.count
      initialised = isWhole ? count : 0
    }
    return isWhole ? bytes : nil
  }

  /// Numbers of `width` bytes as one plane for each byte: the high bytes, which are alike, come together.
  static func shuffle(_ bytes: UnsafeRawBufferPointer, width: Int) -> [UInt8] {
    let count = bytes.count / width
    return [UInt8](unsafeUninitializedCapacity: bytes.count) { to, initialised in
      for plane in 0..<width {
        for index in 0..<count { to[plane * count + index] = bytes[index * width + plane] }
      }
      initialised = count * width
    }
  }

  /// The numbers again.
  static func unshuffle(_ planes: ArraySlice<UInt8>, width: Int, into to: UnsafeMutableRawBufferPointer) {
    let count = planes.count / width
    planes.withUnsafeBufferPointer { from in
      for plane in 0..<width {
        for index in 0..<count { to[index * width + plane] = from[plane * count + index] }
      }
    }
  }
}
