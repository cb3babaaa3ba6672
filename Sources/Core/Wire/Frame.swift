import Federation
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

  /// The frame as it travels.
  package func encoded() -> Data { pieces().reduce(into: Data(capacity: count)) { $0.append($1) } }

  /// The frame as it travels, in pieces to be sent one after the other: of a long payload no copy is made.
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

  /// Whether copying the payload costs less than sending it by itself.
  private var isShort: Bool { payload.count < 4 << 10 }

  /// Reads everything behind the length. A payload that may be `shared` stays where it is, and no copy is made.
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

/// Cuts a stream of bytes into frames. It never holds more than one frame of the limit and one read.
package struct FrameDecoder: Sendable {
  /// The longest frame that is taken, in bytes behind the length. Smaller before a peer is known.
  package var limit: Int
  /// What has come and is not taken yet is in `start..<end`; behind it is room.
  private var buffer = Data()
  private var (start, end) = (0, 0)

  /// Room for a read, where no long frame is on its way.
  private static let room = 16 << 10

  package init(limit: Int) { self.limit = limit }

  /// Bytes that wait for the rest of their frame.
  package var pending: Int { end - start }

  package mutating func append(_ bytes: some Collection<UInt8>) {
    makeRoom(bytes.count)
    buffer.replaceSubrange(end..<end + bytes.count, with: bytes)
    end += bytes.count
  }

  /// Takes what `read` puts into the room that it is given; it returns how much that is.
  mutating func fill(_ read: (UnsafeMutableRawBufferPointer) throws(StreamError) -> Int) throws(StreamError) {
    // No more than the rest of a long frame, so that the buffer is empty behind it and can be let go.
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

  /// The next whole frame; nil if more bytes are needed. After an error the stream is lost.
  package mutating func next() throws(WireError) -> Frame? {
    guard pending >= 4 else { return nil }
    let length = Int(buffer.bigEndian32(at: start))
    guard length <= limit else { throw .tooLong(bytes: length, limit: limit) }
    guard length >= Frame.overhead - 4 else { throw .malformed("a length of \(length)") }
    guard pending >= 4 + length else { return nil }
    let body = start + 4..<start + 4 + length
    // Behind a long frame the buffer is empty, and can be its payload's.
    let frame = try Frame(body: buffer[body], shared: body.upperBound == end && length > Self.room)
    start = body.upperBound
    if start == end { (buffer, start, end) = (Data(), 0, 0) }
    return frame
  }

  /// Bytes that the frame on its way lacks, as far as its length is known and is one that is taken.
  private var missing: Int {
    guard pending >= 4 else { return 0 }
    let length = Int(buffer.bigEndian32(at: start))
    return length <= limit ? max(4 + length - pending, 0) : 0
  }

  /// Makes room for so many bytes: what waits goes to the front, and the buffer grows where that is too little.
  private mutating func makeRoom(_ count: Int) {
    guard buffer.count - end < count else { return }
    // Not zeroed: what is behind `end` is read by nobody.
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

/// A message as it travels. What many are sent is made once, its checksum with it; of a long payload no copy is made.
package struct OutgoingFrame: Sendable {
  /// They follow each other.
  package let pieces: [Data]

  /// Throws ``WireError`` where the message has no frame.
  package init(_ message: Message) throws(WireError) {
    do { pieces = try message.frame().pieces() } catch { throw .malformed("\(error)") }
  }

  /// Bytes on the wire.
  package var count: Int { pieces.reduce(0) { $0 + $1.count } }
}
