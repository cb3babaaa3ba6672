import Federation
import Foundation

/// Bounds of the sizes, places and times that a peer may name, so that nobody who computes with them must fear an
/// overflow. A number within them may still be a wrong one, as its reader sees.
///
/// What a client offers, declines or says of its training is judged where it is taken, and refused by name.
extension Message {
  /// Bytes of anything that is sent: far above any model, and a million of them are still a number.
  static let bytes = 0...1 << 40
  /// Seconds: thirty years each way.
  static let seconds = -1e9...1e9

  /// Throws ``WireError/badHead(kind:reason:)`` for a number that nobody can mean.
  func requireBounds() throws(WireError) {
    switch self {
    case .welcome(let welcome):
      try require("chunkBytes", welcome.chunkBytes, in: Self.bytes)
      try require("heartbeatSeconds", welcome.heartbeatSeconds, in: Self.seconds)
    case .assignment(let assignment):
      try require("deadlineSeconds", assignment.deadlineSeconds, in: Self.seconds)
      for part in assignment.parts { try require("bytes", part.bytes, in: Self.bytes) }
      for way in assignment.ways ?? [] {
        for step in way.steps { try require("bytes", step.bytes, in: Self.bytes) }
        if let whole = way.whole { try require("bytes", whole.bytes, in: Self.bytes) }
      }
    case .fetch(let head): try require("offset", head.offset, in: Self.bytes)
    case .layer(let head, _):
      try require("offset", head.offset, in: Self.bytes)
      try require("total", head.total, in: Self.bytes)
    case .request(let head): try require("offset", head.offset, in: Self.bytes)
    case .update(let head, _): try require("offset", head.offset, in: Self.bytes)
    case .hello, .enrol, .certificate, .acknowledgement, .release, .goodbye: break
    case .offer, .decline, .heartbeat: break
    }
  }

  private func require<Number: Comparable>(
    _ field: String, _ value: Number, in range: ClosedRange<Number>
  ) throws(WireError) {
    guard range.contains(value) else {
      throw .badHead(
        kind: name, reason: "\(field): \(value) is not from \(range.lowerBound) to \(range.upperBound)")
    }
  }
}
