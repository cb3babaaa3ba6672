import Federation
import Foundation

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

  /// Throws ``WireError`` for a kind that is not known, for a head that is not its kind's, and for a number in it that
  /// nobody can mean.
  package init(_ frame: Frame) throws(WireError) {
    guard let kind = Kind(rawValue: frame.kind) else { throw .unknownKind(frame.kind) }
    if kind != .layer && kind != .update && !frame.payload.isEmpty {
      throw .malformed("a \(kind) with \(frame.payload.count) bytes of payload")
    }
    switch kind {
    case .hello: self = .hello(try Self.head(frame, kind))
    case .welcome: self = .welcome(try Self.head(frame, kind))
    case .assignment: self = .assignment(try Self.head(frame, kind))
    case .fetch: self = .fetch(try Self.head(frame, kind))
    case .layer:
      if let head = PieceHead(frame.head), let total = head.total {
        self = .layer(LayerData(digest: head.digest, offset: head.offset, total: total), frame.payload)
      } else {
        self = .layer(try Self.head(frame, kind), frame.payload)
      }
    case .offer: self = .offer(try Self.head(frame, kind))
    case .request: self = .request(try Self.head(frame, kind))
    case .update:
      if let head = PieceHead(frame.head) {
        self = .update(UpdateData(digest: head.digest, offset: head.offset), frame.payload)
      } else {
        self = .update(try Self.head(frame, kind), frame.payload)
      }
    case .acknowledgement: self = .acknowledgement(try Self.head(frame, kind))
    case .release: self = .release(try Self.head(frame, kind))
    case .heartbeat: self = .heartbeat(try Self.head(frame, kind))
    case .goodbye: self = .goodbye(try Self.head(frame, kind))
    case .decline: self = .decline(try Self.head(frame, kind))
    case .enrol: self = .enrol(try Self.head(frame, kind))
    case .certificate: self = .certificate(try Self.head(frame, kind))
    }
    try requireBounds()
  }

  private static func frame(_ kind: Kind, _ head: PieceHead, _ payload: Data) -> Frame {
    Frame(kind: kind.rawValue, head: head.encoded, payload: payload)
  }

  private static func frame(_ kind: Kind, _ head: some Encodable) throws -> Frame {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    // A loss that is not a number must reach the server, which refuses it by its name.
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return Frame(kind: kind.rawValue, head: try encoder.encode(head))
  }

  private static func head<Head: Decodable>(_ frame: Frame, _ kind: Kind) throws(WireError) -> Head {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    do {
      return try decoder.decode(Head.self, from: frame.head)
    } catch {
      throw .badHead(kind: "\(kind)", reason: Self.reason(error))
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
