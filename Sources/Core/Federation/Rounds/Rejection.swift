/// The reason why an update is not admitted. A rejection is stored and sent to the client.
package enum Rejection: String, Sendable, Hashable, Codable, CaseIterable, Error {
  /// The update belongs to another round, stage or attempt, or the round accepts no more updates.
  case wrongRound
  /// The client is not in the round's cohort.
  case notAssigned
  /// The client's update of this round is already admitted, with other bytes.
  case duplicate
  /// An update of the client was rejected in this round, which continues without it.
  case alreadyRejected
  /// The update is based on another snapshot.
  case wrongBase
  /// The length does not match the trained parameters.
  case wrongSize
  /// The bytes do not match the digest.
  case wrongDigest
  /// The codec is not one of the plan's, or the bytes cannot be decoded.
  case undecodable
  /// A weight, or a number of the offer, is not finite.
  case notFinite
  /// A number of the offer is out of bounds (``Message/badNumber``), such as the samples.
  case overLimit
  /// A weight exceeds the divergence limit (``Divergence``).
  case diverged
  /// The distance from the round's weights exceeds the plan's limit.
  case overNorm

  /// Whether the rejection results from a training that diverged.
  package var isDivergence: Bool { self == .notFinite || self == .diverged }

  /// A sentence for logs and people.
  package var explanation: String {
    switch self {
    case .wrongRound: "it belongs to another round"
    case .notAssigned: "the client is not in the cohort"
    case .duplicate: "another update of this client is already admitted"
    case .alreadyRejected: "an update of this client was rejected in this round already"
    case .wrongBase: "it was trained from another snapshot"
    case .wrongSize: "its length does not match the parts in training"
    case .wrongDigest: "its bytes do not match its digest"
    case .undecodable: "its bytes do not match the round's codec"
    case .notFinite: "it holds a number that is not finite"
    case .overLimit: "its number of samples, or another of its numbers, is out of bounds"
    case .diverged: "its training diverged: a weight is too large"
    case .overNorm: "its distance from the round's weights is over the plan's limit"
    }
  }
}

/// The reason why a client declines a round.
package struct DeclineReason: Sendable, Hashable {
  /// A text for people, at most 200 characters.
  package let reason: String
  /// The expected duration; nil if the reason applies only to this round.
  package let seconds: Int?

  package init(_ reason: String, seconds: Int? = nil) {
    (self.reason, self.seconds) = (String(reason.prefix(Self.longest)), seconds.map { max($0, 0) })
  }

  private static let longest = 200
}
