/// The marked segments of a JPEG before its first scan (ITU-T T.81, B.1.1).
struct JPEGSegments: IteratorProtocol {
  private let bytes: UnsafeBufferPointer<UInt8>
  /// Behind the start of the image.
  private var offset = 2

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func next() -> (marker: UInt8, body: Slice<UnsafeBufferPointer<UInt8>>)? {
    // Any number of 0xFF may stand before a marker, and decoders pass over whatever else does.
    while offset + 1 < bytes.count, bytes[offset] != 0xFF || [0, 0xFF].contains(bytes[offset + 1]) {
      offset += 1
    }
    guard offset + 4 <= bytes.count, bytes[offset] == 0xFF else { return nil }
    let marker = bytes[offset + 1]
    let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
    let end = offset + 2 + length
    let (startOfScan, endOfImage): (UInt8, UInt8) = (0xDA, 0xD9)
    guard marker != startOfScan, marker != endOfImage, length >= 2, end <= bytes.count else { return nil }
    defer { offset = end }
    return (marker, bytes[offset + 4..<end])
  }
}
