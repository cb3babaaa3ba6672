/// Little-endian numbers among bytes.
struct LittleEndian {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The unsigned number of `count` bytes at an offset; nil where it is not whole, or over `Int.max`.
  func number(_ offset: Int, _ count: Int) -> Int? {
    guard offset >= 0, offset <= bytes.count - count else { return nil }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes[offset + index]) << (8 * UInt64(index)) }
    return Int(exactly: value)
  }

  /// The 8-byte numbers of a zip entry's extra field 1.
  func largeNumbers(in range: Range<Int>) -> [Int] {
    var offset = range.lowerBound
    while offset + 4 <= range.upperBound, let kind = number(offset, 2), let length = number(offset + 2, 2) {
      let end = offset + 4 + length
      guard end <= range.upperBound else { return [] }
      if kind == 1 { return stride(from: offset + 4, to: end - 7, by: 8).compactMap { number($0, 8) } }
      offset = end
    }
    return []
  }
}
