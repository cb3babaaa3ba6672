/// Why an update is not admitted. A rejection is a value: it is stored, sent back, and harms nobody.
package enum Rejection: String, Sendable, Hashable, Codable, CaseIterable, Error {
  /// It belongs to another round, stage or attempt, or the round takes no more updates.
  case wrongRound
  /// The client is not in the round's cohort.
  case notAssigned
  /// The client's update of this round is already admitted, with other bytes.
  case duplicate
  /// An update of the client was rejected in this round; the round goes on without it.
  case alreadyRejected
  /// It was trained from another snapshot.
  case wrongBase
  /// Its length is not that of what trains.
  case wrongSize
  /// Its bytes are not those of its digest.
  case wrongDigest
  /// It is coded with a codec that the plan has not, or its bytes cannot be decoded.
  case undecodable
  /// A weight, or a number of its offer, is not finite.
  case notFinite
  /// A number of its offer is out of its bounds (``Message/badNumber``), such as its samples.
  case overLimit
  /// A weight is absurdly large (``Divergence``).
  case diverged
  /// It is farther from the round's weights than the plan allows.
  case overNorm

  /// Whether it is what a training that diverged leads to.
  package var isDivergence: Bool { self == .notFinite || self == .diverged }

  /// A sentence for logs and people.
  package var explanation: String {
    switch self {
    case .wrongRound: "it belongs to another round"
    case .notAssigned: "the client is not in the cohort"
    case .duplicate: "another update of this client is already admitted"
    case .alreadyRejected: "an update of this client was rejected in this round already"
    case .wrongBase: "it was trained from another snapshot"
    case .wrongSize: "its length is not that of what trains"
    case .wrongDigest: "its bytes are not those of its digest"
    case .undecodable: "its bytes are not those of the round's codec"
    case .notFinite: "it holds a number that is not finite"
    case .overLimit: "its samples, or another number that it claims, are out of bounds"
    case .diverged: "its training diverged: a weight is absurdly large"
    case .overNorm: "it is farther from the round's weights than the plan allows"
    }
  }
}

/// Why a client will not train as it is asked to.
package struct DeclineReason: Sendable, Hashable {
  /// For people, at most 200 characters.
  package let reason: String
  /// For how long it will probably hold; nil where it is about this round alone.
  package let seconds: Int?

  package init(_ reason: String, seconds: Int? = nil) {
    (self.reason, self.seconds) = (String(reason.prefix(Self.longest)), seconds.map { max($0, 0) })
  }

  private static let longest = 200
}
