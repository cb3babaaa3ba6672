import Federation
import Foundation

/// The unit of transmission (docs/protocol.md). All numbers are big-endian:
///
/// | bytes | content |
/// |---|---|
/// | 4 | length of everything that follows |
/// | 1 | version, 1 |
/// | 1 | kind |
/// | 4 | length of the head |
/// | … | head, JSON; of pieces of layers and updates 48 or 40 bytes |
/// | … | payload, raw |
/// | 4 | CRC-32 from the version to the payload (zlib's) |
package struct Frame: Sendable, Hashable {
  package static let version: UInt8 = 1
  /// The bytes of a frame in addition to its head and payload.
  package static let overhead = 14

  package let kind: UInt8
  package let head: Data
  package let payload: Data

  package init(kind: UInt8, head: Data, payload: Data = Data()) {
    (self.kind, self.head, self.payload) = (kind, head, payload)
  }

  /// The bytes on the wire.
  package var count: Int { Self.overhead + head.count + payload.count }

  /// Returns the frame as sent.
  package func encoded() -> Data { pieces().reduce(into: Data(capacity: count)) { $0.append($1) } }

  /// Returns the frame as consecutive pieces; a long payload is not copied.
  package func pieces() -> [Data] {
    var start = Data(capacity: Self.overhead + head.count + (isShort ? payload.count : 0))
    start.append(bigEndian: UInt32(count - 4))
    start.append(contentsOf: [Self.version, kind])
    start.append(bigEndian: UInt32(head.count))
    start.append(head)
    let checksum = Compression.checksum(payload, after: Compression.checksum(start.dropFirst(4)))
    guard !isShort else {
      start.append(payload)
      start.append(bigEndian: checksum)
      return [start]
    }
    var end = Data(capacity: 4)
    end.append(bigEndian: checksum)
    return [start, payload, end]
  }

  /// Whether copying the payload costs less than sending it separately.
  private var isShort: Bool { payload.count < 4 << 10 }

  /// Parses everything after the length. A payload that may be `shared` is not copied.
  fileprivate init(body: Data, shared: Bool) throws(WireError) {
    guard body.count >= Self.overhead - 4 else { throw .malformed("\(body.count) bytes") }
    let content = body.dropLast(4)
    guard Compression.checksum(content) == body.bigEndian32(at: body.count - 4) else { throw .checksum }
    let version = body[body.startIndex]
    guard version == Self.version else { throw .unknownVersion(version) }
    let headCount = Int(body.bigEndian32(at: 2))
    guard headCount <= content.count - 6 else {
      throw .malformed("a head of \(headCount) bytes in a frame of \(body.count)")
    }
    let headStart = content.startIndex + 6
    let payload = content[(headStart + headCount)...]
    self.init(
      kind: body[body.startIndex + 1], head: Data(content[headStart..<headStart + headCount]),
      payload: shared && !payload.isEmpty ? payload : Data(payload))
  }
}

/// Splits a stream of bytes into frames. It holds at most one frame of the maximum length and one read.
package struct FrameDecoder: Sendable {
  /// The maximum length of a frame, in bytes after the length field. It is smaller until the peer has identified
  /// itself.
  package var limit: Int
  /// Bytes received and not yet consumed are in `start..<end`; the space after them is free.
  private var buffer = Data()
  private var (start, end) = (0, 0)

  /// The space for a read, unless a long frame is incomplete.
  private static let room = 16 << 10

  package init(limit: Int) { self.limit = limit }

  /// The number of bytes of the incomplete frame.
  package var pending: Int { end - start }

  package mutating func append(_ bytes: some Collection<UInt8>) {
    makeRoom(bytes.count)
    buffer.replaceSubrange(end..<end + bytes.count, with: bytes)
    end += bytes.count
  }

  /// Appends bytes that `read` writes into free space; it returns their number.
  mutating func fill(_ read: (UnsafeMutableRawBufferPointer) throws(StreamError) -> Int) throws(StreamError) {
    // For a long frame, provides space for exactly the rest, so that the buffer is empty after it and can be released.
    makeRoom(max(Self.room, missing))
    let room = end..<buffer.count
    let result = buffer.withUnsafeMutableBytes { bytes -> Result<Int, StreamError> in
      do throws(StreamError) {
        return .success(try read(UnsafeMutableRawBufferPointer(rebasing: bytes[room])))
      } catch {
        return .failure(error)
      }
    }
    end += try result.get()
  }

  /// Returns the next complete frame; nil if more bytes are needed. After an error the stream cannot be used.
  package mutating func next() throws(WireError) -> Frame? {
    guard pending >= 4 else { return nil }
    let length = Int(buffer.bigEndian32(at: start))
    guard length <= limit else { throw .tooLong(bytes: length, limit: limit) }
    guard length >= Frame.overhead - 4 else { throw .malformed("a length of \(length)") }
    guard pending >= 4 + length else { return nil }
    let body = start + 4..<start + 4 + length
    // After a long frame the buffer is empty, and the payload can take it over.
    let frame = try Frame(body: buffer[body], shared: body.upperBound == end && length > Self.room)
    start = body.upperBound
    if start == end { (buffer, start, end) = (Data(), 0, 0) }
    return frame
  }

  /// The number of bytes missing from the incomplete frame; 0 if its length is unknown or over the limit.
  private var missing: Int {
    guard pending >= 4 else { return 0 }
    let length = Int(buffer.bigEndian32(at: start))
    return length <= limit ? max(4 + length - pending, 0) : 0
  }

  /// Provides space for `count` bytes: moves pending bytes to the front of a larger buffer if necessary.
  private mutating func makeRoom(_ count: Int) {
    guard buffer.count - end < count else { return }
    // Not zeroed: bytes after `end` are never read.
    let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: pending + count, alignment: 16)
    buffer[start..<end].copyBytes(to: larger)
    buffer = Data(
      bytesNoCopy: larger.baseAddress!, count: larger.count,
      deallocator: .custom { start, _ in start.deallocate() })
    (start, end) = (0, pending)
  }
}

extension Data {
  fileprivate mutating func append(bigEndian value: UInt32) {
    Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
  }

  fileprivate func bigEndian32(at offset: Int) -> UInt32 {
    let first = startIndex + offset
    return UInt32(self[first]) << 24 | UInt32(self[first + 1]) << 16 | UInt32(self[first + 2]) << 8
      | UInt32(self[first + 3])
  }
}

/// An encoded message. A message for several peers is encoded once, including its checksum; a long payload is not
/// copied.
package struct OutgoingFrame: Sendable {
  /// The consecutive pieces.
  package let pieces: [Data]

  /// Throws ``WireError`` if the message cannot be encoded.
  package init(_ message: Message) throws(WireError) {
    do { pieces = try message.frame().pieces() } catch { throw .malformed("\(error)") }
  }

  /// The bytes on the wire.
  package var count: Int { pieces.reduce(0) { $0 + $1.count } }
}
