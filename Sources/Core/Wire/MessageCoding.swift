import Engine
import Federation
import Foundation
import Support

/// Converts messages to frames and back (docs/protocol.md).
extension Message {
  /// The kind byte of each message.
  private enum Kind: UInt8, CaseIterable {
    case hello = 1
    case welcome = 2
    case assignment = 3
    case fetch = 4
    case layer = 5
    case offer = 6
    case request = 7
    case update = 8
    case acknowledgement = 9
    case release = 10
    case heartbeat = 11
    case goodbye = 12
    case decline = 13
    case enrol = 14
    case certificate = 15
  }

  package func frame() throws -> Frame {
    switch self {
    case .hello(let head): try Self.frame(.hello, head)
    case .welcome(let head): try Self.frame(.welcome, head)
    case .assignment(let head): try Self.frame(.assignment, head)
    case .fetch(let head): try Self.frame(.fetch, head)
    case .layer(let head, let bytes):
      Self.frame(.layer, PieceHead(digest: head.digest, offset: head.offset, total: head.total), bytes)
    case .offer(let head): try Self.frame(.offer, head)
    case .request(let head): try Self.frame(.request, head)
    case .update(let head, let bytes):
      Self.frame(.update, PieceHead(digest: head.digest, offset: head.offset), bytes)
    case .acknowledgement(let head): try Self.frame(.acknowledgement, head)
    case .release(let head): try Self.frame(.release, head)
    case .heartbeat(let head): try Self.frame(.heartbeat, head)
    case .goodbye(let head): try Self.frame(.goodbye, head)
    case .decline(let head): try Self.frame(.decline, head)
    case .enrol(let head): try Self.frame(.enrol, head)
    case .certificate(let head): try Self.frame(.certificate, head)
    }
  }

  /// Throws ``WireError`` for an unknown kind, an invalid head, or a number out of bounds. The numbers of an offer are
  /// checked by the round, which rejects the client by name.
  package init(_ frame: Frame) throws(WireError) {
    self = try Self.decoded(frame)
    if case .offer = self { return }
    if let bad = badNumber { throw .badNumber(bad.description) }
  }

  private static func decoded(_ frame: Frame) throws(WireError) -> Message {
    guard let kind = Kind(rawValue: frame.kind) else { throw .unknownKind(frame.kind) }
    if kind != .layer && kind != .update && !frame.payload.isEmpty {
      throw .malformed("a \(kind) with \(frame.payload.count) bytes of payload")
    }
    switch kind {
    case .hello: return .hello(try Self.head(frame, kind))
    case .welcome: return .welcome(try Self.head(frame, kind))
    case .assignment: return .assignment(try Self.head(frame, kind))
    case .fetch: return .fetch(try Self.head(frame, kind))
    case .layer:
      let head = try PieceHead(frame.head, kind: "\(kind)", hasTotal: true)
      return .layer(
        LayerData(digest: head.digest, offset: head.offset, total: head.total ?? 0), frame.payload)
    case .offer: return .offer(try Self.head(frame, kind))
    case .request: return .request(try Self.head(frame, kind))
    case .update:
      let head = try PieceHead(frame.head, kind: "\(kind)", hasTotal: false)
      return .update(UpdateData(digest: head.digest, offset: head.offset), frame.payload)
    case .acknowledgement: return .acknowledgement(try Self.head(frame, kind))
    case .release: return .release(try Self.head(frame, kind))
    case .heartbeat: return .heartbeat(try Self.head(frame, kind))
    case .goodbye: return .goodbye(try Self.head(frame, kind))
    case .decline: return .decline(try Self.head(frame, kind))
    case .enrol: return .enrol(try Self.head(frame, kind))
    case .certificate: return .certificate(try Self.head(frame, kind))
    }
  }

  private static func frame(_ kind: Kind, _ head: PieceHead, _ payload: Data) -> Frame {
    Frame(kind: kind.rawValue, head: head.encoded, payload: payload)
  }

  private static func frame(_ kind: Kind, _ head: some Encodable) throws -> Frame {
    // A non-finite loss must reach the server, which rejects the client by name.
    Frame(kind: kind.rawValue, head: try JSON.stored(head))
  }

  private static func head<Head: Decodable>(_ frame: Frame, _ kind: Kind) throws(WireError) -> Head {
    // The decoder would also accept UTF-16 and UTF-32. JSON in UTF-8 contains no zero bytes.
    guard !frame.head.contains(0), String(validating: frame.head, as: UTF8.self) != nil else {
      throw .badHead(kind: "\(kind)", reason: "it is not UTF-8")
    }
    do { return try JSON.read(from: frame.head) } catch {
      // The error quotes the unreadable text.
      throw .badHead(kind: "\(kind)", reason: ForeignText(Self.reason(error)).description)
    }
  }

  /// Returns a decoding error as one line.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    switch error {
    case .keyNotFound(let key, _): return "\(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      return "\(path.isEmpty ? "" : "\(path): ")\(context.debugDescription)"
    @unknown default: return "\(error)"
    }
  }
}

/// The head of a piece of a layer or an update: the digest (32 bytes), the offset (8 bytes, big-endian) and, for a layer,
/// its total size (8 bytes, big-endian). It is not JSON, because a round has thousands of pieces.
struct PieceHead: Equatable {
  let digest: Digest
  let offset: Int
  /// The total size of a layer; nil for an update.
  var total: Int?

  /// The maximum size of a head.
  static let mostBytes = 48

  var encoded: Data {
    var head = digest.data
    for number in [offset, total].compactMap(\.self) {
      withUnsafeBytes(of: number.bigEndian) { head.append(contentsOf: $0) }
    }
    return head
  }

  init(digest: Digest, offset: Int, total: Int? = nil) {
    (self.digest, self.offset, self.total) = (digest, offset, total)
  }

  /// Parses a head; throws ``WireError`` for another length. Numbers beyond the limits of the type are read as the
  /// largest or as negative ones, which are out of bounds.
  init(_ head: Data, kind: String, hasTotal: Bool) throws(WireError) {
    let count = hasTotal ? 48 : 40
    guard head.count == count else {
      throw .badHead(kind: kind, reason: "it has \(head.count) bytes instead of \(count)")
    }
    func number(at offset: Int) -> Int {
      Int(truncatingIfNeeded: head.dropFirst(offset).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    self.init(
      digest: Digest(bytes: head.prefix(32)), offset: number(at: 32), total: hasTotal ? number(at: 40) : nil)
  }
}

extension Frame {
  /// Returns the maximum bytes on the wire for a layer or an update of `count` bytes in pieces of `chunk`.
  package static func bytes(ofPieces chunk: Int, of count: Int) -> Int {
    count + (count + chunk - 1) / chunk * (overhead + PieceHead.mostBytes)
  }
}
