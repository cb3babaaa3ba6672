import CZlib
import Foundation

/// What travels, in one piece (docs/protocol.md). All numbers are big-endian:
///
/// | bytes | what |
/// |---|---|
/// | 4 | length of everything that follows |
/// | 1 | version, 1 |
/// | 1 | kind |
/// | 4 | length of the head |
/// | … | head, JSON |
/// | … | payload, raw |
/// | 4 | CRC-32 of version to payload (zlib's) |
package struct Frame: Sendable, Hashable {
  package static let version: UInt8 = 1
  /// Bytes of a frame beside its head and payload.
  package static let overhead = 14

  package let kind: UInt8
  package let head: Data
  package let payload: Data

  package init(kind: UInt8, head: Data, payload: Data = Data()) {
    (self.kind, self.head, self.payload) = (kind, head, payload)
  }

  /// Bytes on the wire.
  package var count: Int { Self.overhead + head.count + payload.count }

  package func encoded() -> Data {
    var bytes = Data(capacity: count)
    bytes.append(bigEndian: UInt32(count - 4))
    bytes.append(contentsOf: [Self.version, kind])
    bytes.append(bigEndian: UInt32(head.count))
    bytes.append(head)
    bytes.append(payload)
    bytes.append(bigEndian: Self.checksum(bytes.dropFirst(4)))
    return bytes
  }

  /// Reads everything behind the length.
  fileprivate init(body: Data) throws(WireError) {
    guard body.count >= Self.overhead - 4 else { throw .malformed("\(body.count) bytes") }
    let content = body.dropLast(4)
    guard Self.checksum(content) == body.bigEndian32(at: body.count - 4) else { throw .checksum }
    let version = body[body.startIndex]
    guard version == Self.version else { throw .unknownVersion(version) }
    let headCount = Int(body.bigEndian32(at: 2))
    guard headCount <= content.count - 6 else {
      throw .malformed("a head of \(headCount) bytes in a frame of \(body.count)")
    }
    let headStart = content.startIndex + 6
    self.init(
      kind: body[body.startIndex + 1], head: Data(content[headStart..<headStart + headCount]),
      payload: Data(content[(headStart + headCount)...]))
  }

  private static func checksum(_ bytes: Data) -> UInt32 {
    bytes.withUnsafeBytes {
      UInt32(crc32_z(0, $0.bindMemory(to: UInt8.self).baseAddress, z_size_t($0.count)))
    }
  }
}

/// Cuts a stream of bytes into frames. It never holds more than one frame of the limit and one read.
package struct FrameDecoder: Sendable {
  /// The longest frame that is taken, in bytes behind the length. Smaller before a peer is known.
  package var limit: Int
  private var buffer = Data()

  package init(limit: Int) { self.limit = limit }

  /// Bytes that wait for the rest of their frame.
  package var pending: Int { buffer.count }

  package mutating func append(_ bytes: some Collection<UInt8>) { buffer.append(contentsOf: bytes) }

  /// The next whole frame; nil if more bytes are needed. After an error the stream is lost.
  package mutating func next() throws(WireError) -> Frame? {
    guard buffer.count >= 4 else { return nil }
    let length = Int(buffer.bigEndian32(at: 0))
    guard length <= limit else { throw .tooLong(bytes: length, limit: limit) }
    guard length >= Frame.overhead - 4 else { throw .malformed("a length of \(length)") }
    guard buffer.count >= 4 + length else { return nil }
    let start = buffer.startIndex + 4
    let frame = try Frame(body: buffer[start..<start + length])
    // A copy of the rest, so that the bytes of this frame are let go.
    buffer = Data(buffer[(start + length)...])
    return frame
  }
}

extension Data {
  fileprivate mutating func append(bigEndian value: UInt32) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }

  fileprivate func bigEndian32(at offset: Int) -> UInt32 {
    self[(startIndex + offset)..<(startIndex + offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
  }
}
