/// Which round of a job: stage, round of the stage, and which attempt at it; all count from 1.
package struct RoundKey: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
  package let stage: Int
  package let round: Int
  package let attempt: Int

  package init(stage: Int, round: Int, attempt: Int = 1) {
    (self.stage, self.round, self.attempt) = (stage, round, attempt)
  }

  /// The same round, tried once more.
  package var nextAttempt: RoundKey { RoundKey(stage: stage, round: round, attempt: attempt + 1) }

  package var description: String {
    "stage \(stage) round \(round)\(attempt > 1 ? " attempt \(attempt)" : "")"
  }

  package static func < (one: RoundKey, other: RoundKey) -> Bool {
    (one.stage, one.round, one.attempt) < (other.stage, other.round, other.attempt)
  }
}
