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
      if let head = PieceHead(frame.head), let total = head.total {
        return .layer(LayerData(digest: head.digest, offset: head.offset, total: total), frame.payload)
      } else {
        return .layer(try Self.head(frame, kind), frame.payload)
      }
    case .offer: return .offer(try Self.head(frame, kind))
    case .request: return .request(try Self.head(frame, kind))
    case .update:
      if let head = PieceHead(frame.head) {
        return .update(UpdateData(digest: head.digest, offset: head.offset), frame.payload)
      } else {
        return .update(try Self.head(frame, kind), frame.payload)
      }
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

/// The head of a piece of a layer or an update, as JSON in a fixed form. A round has thousands of pieces, for which a
/// general coder would take longer than the kernel takes to send them.
struct PieceHead: Equatable {
  let digest: Digest
  let offset: Int
  /// The total size of a layer; nil for an update.
  var total: Int?

  /// The maximum size of a head; its numbers have 13 digits (``Message/requireBounds()``).
  static let mostBytes = PieceHead(
    digest: Digest(of: Data()), offset: NumberBounds.bytes.upperBound, total: NumberBounds.bytes.upperBound
  ).encoded.count

  /// The output of an encoder with sorted keys.
  var encoded: Data {
    let end = total.map { ",\"total\":\($0)}" } ?? "}"
    return Data("{\"digest\":\"\(digest.description)\",\"offset\":\(offset)\(end)".utf8)
  }
}

extension PieceHead {
  /// Parses a head in this form; nil for other heads, which may still be valid JSON.
  init?(_ head: Data) {
    var rest = head[...]
    guard rest.skip("{\"digest\":\""), let digest = Digest(String(decoding: rest.prefix(64), as: UTF8.self))
    else { return nil }
    rest = rest.dropFirst(64)
    guard rest.skip("\",\"offset\":"), let offset = rest.takeNumber() else { return nil }
    var total: Int?
    if rest.skip(",\"total\":") {
      guard let number = rest.takeNumber() else { return nil }
      total = number
    }
    guard rest.elementsEqual("}".utf8) else { return nil }
    self.init(digest: digest, offset: offset, total: total)
  }
}

extension Frame {
  /// Returns the maximum bytes on the wire for a layer or an update of `count` bytes in pieces of `chunk`.
  package static func bytes(ofPieces chunk: Int, of count: Int) -> Int {
    count + (count + chunk - 1) / chunk * (overhead + PieceHead.mostBytes)
  }
}

extension Data {
  /// Removes a prefix. Returns whether it was present.
  fileprivate mutating func skip(_ text: StaticString) -> Bool {
    let isThere = text.withUTF8Buffer { starts(with: $0) }
    if isThere { self = dropFirst(text.utf8CodeUnitCount) }
    return isThere
  }

  /// Removes and returns the decimal number at the start; nil if there is none that JSON and Int permit.
  fileprivate mutating func takeNumber() -> Int? {
    let digits = prefix(19).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    // Numbers of 18 digits fit; a leading zero is only permitted for 0.
    guard (1...18).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
      return nil
    }
    self = dropFirst(digits.count)
    return digits.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) }
  }
}
