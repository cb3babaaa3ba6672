/// The one thing that matters here of what a camera notes in a JPEG or PNG: how the image is to be turned (CIPA DC-008).
enum EXIF {
  private static let orientationTag = 0x0112
  /// The kinds of a whole number, and their bytes: SHORT, which the standard wants, and LONG, which some write.
  private static let kinds = [3: 2, 4: 4]
  private static let entryBytes = 12

  /// The orientation that a JPEG's segment APP1 names. Whatever is damaged or missing on the way there leaves the
  /// image as it is stored.
  static func orientation(ofJPEG bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var segments = JPEGSegments(bytes)
    while let segment = segments.next() {
      guard segment.marker == 0xE1, segment.body.starts(with: Array("Exif\0\0".utf8)) else { continue }
      return orientation(ofTIFF: UnsafeBufferPointer(rebasing: segment.body.dropFirst(6))) ?? .topLeft
    }
    return .topLeft
  }

  /// The same of a PNG's chunk eXIf, before its pixels or behind them.
  static func orientation(ofPNG bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var offset = 8
    while offset + 8 <= bytes.count {
      let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      let body = offset + 8
      guard length <= bytes.count - body else { break }
      if bytes[offset + 4..<body].elementsEqual("eXIf".utf8) {
        return orientation(ofTIFF: UnsafeBufferPointer(rebasing: bytes[body..<body + length])) ?? .topLeft
      }
      // Behind the body stands its checksum.
      offset = body + length + 4
    }
    return .topLeft
  }

  /// Looks for the tag in the first directory of a TIFF's bytes.
  private static func orientation(ofTIFF bytes: UnsafeBufferPointer<UInt8>) -> Orientation? {
    let isLittle = bytes.starts(with: [0x49, 0x49, 42, 0])
    guard isLittle || bytes.starts(with: [0x4D, 0x4D, 0, 42]) else { return nil }
    func number(_ offset: Int, bytes count: Int) -> Int? {
      guard offset >= 0, offset <= bytes.count - count else { return nil }
      return (0..<count).reduce(0) {
        $0 | Int(bytes[offset + $1]) << (8 * (isLittle ? $1 : count - 1 - $1))
      }
    }
    guard let directory = number(4, bytes: 4), let entries = number(directory, bytes: 2) else { return nil }
    for entry in 0..<entries {
      let offset = directory + 2 + entry * entryBytes
      guard let tag = number(offset, bytes: 2) else { return nil }
      guard tag == orientationTag else { continue }
      guard let kind = number(offset + 2, bytes: 2), let width = kinds[kind],
        number(offset + 4, bytes: 4) == 1
      else { return nil }
      return number(offset + 8, bytes: width).flatMap { Orientation(rawValue: $0) }
    }
    return nil
  }
}
