import Engine
import Federation
import Foundation
import Support

/// Messages as frames and back (docs/protocol.md).
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

  /// Throws ``WireError`` for a kind that is not known, for a head that is not its kind's, and for a number that cannot be
  /// meant. An offer's numbers are the round's to judge, which rejects it by its name.
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
    // A loss that is not a number must reach the server, which rejects it by its name.
    Frame(kind: kind.rawValue, head: try JSON.stored(head))
  }

  private static func head<Head: Decodable>(_ frame: Frame, _ kind: Kind) throws(WireError) -> Head {
    // The decoder would take UTF-16 and UTF-32 too. JSON has no zero bytes in UTF-8.
    guard !frame.head.contains(0), String(validating: frame.head, as: UTF8.self) != nil else {
      throw .badHead(kind: "\(kind)", reason: "it is not UTF-8")
    }
    do { return try JSON.read(from: frame.head) } catch {
      // It quotes what it could not read.
      throw .badHead(kind: "\(kind)", reason: ForeignText(Self.reason(error)).description)
    }
  }

  /// A decoding error in one line.
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
