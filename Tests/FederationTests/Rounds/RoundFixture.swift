import Federation
import Foundation

extension Digest {
  /// Creates a digest that differs from those of other labels.
  init(label: String) { self.init(of: Data(label.utf8)) }
}

extension UpdateOffer {
  /// Returns an offer that an example of a round accepts.
  static func example(
    key: RoundKey = Round.exampleKey, base: String = "base", digest: String = "update",
    bytes: Int = 64, samples: Int = 100, steps: Int = 5, loss: Float = 1.5, seconds: Double = 2
  ) -> UpdateOffer {
    UpdateOffer(
      key: key, base: Digest(label: base), digest: Digest(label: digest), bytes: bytes, samples: samples,
      steps: steps,
      loss: loss, seconds: seconds)
  }
}

extension Round {
  static let exampleKey = RoundKey(stage: 2, round: 3)
  /// The deadline of an example for waiting and for training.
  static let exampleDeadline = Duration.seconds(60)

  static func example(
    cohort: Int = 4, quorum: Int = 3, needed: Int = 0, calibrates: Bool = false,
    present: some Sequence<String> = ["a", "b", "c", "d"], seed: UInt64 = 1, at now: Duration = .zero
  ) -> Round {
    example(
      rules: Plan.RoundRules(cohort: cohort, quorum: quorum, deadline: .seconds(60)), needed: needed,
      calibrates: calibrates, present: present, seed: seed, at: now)
  }

  static func example(
    rules: Plan.RoundRules, needed: Int = 0, calibrates: Bool = false,
    present: some Sequence<String> = ["a", "b", "c", "d"], seed: UInt64 = 1, key: RoundKey = exampleKey,
    away: [String: Duration] = [:], resting: Set<String> = [], missing: Int = 0, late: Stragglers? = nil,
    waitsForStragglers: Bool = false, at now: Duration = .zero, opens: Duration? = nil
  ) -> Round {
    Round(
      key, rules: rules, needed: needed, missing: missing,
      calibrates: calibrates, expecting: { _ in Expectation(base: Digest(label: "base"), bytes: 64) },
      seed: seed, present: present, away: away, resting: resting, late: late,
      waitsForStragglers: waitsForStragglers, at: now, opens: opens)
  }

  /// Returns the example after its cohort is drawn, at time 0.
  static func training(
    cohort: Int = 4, quorum: Int = 3, calibrates: Bool = false,
    present: some Sequence<String> = ["a", "b", "c", "d"]
  ) -> Round {
    var round = example(cohort: cohort, quorum: quorum, calibrates: calibrates, present: present)
    _ = round.advance(to: .zero)
    return round
  }
}
