import Engine

/// Who is asked to train in a round.
package enum Cohort {
  /// Draws `size` of the names, each with equal chance; the same seed and round draw the same of the same
  /// names, in whatever order they came. In name order.
  package static func draw(_ size: Int, from names: some Collection<String>, seed: UInt64, _ key: RoundKey)
    -> [String]
  {
    let ranked = names.map { name in
      (RandomNumbers.derive(seed, "cohort \(name)", [key.stage, key.round, key.attempt]), name)
    }
    return ranked.sorted { $0 < $1 }.prefix(size).map(\.1).sorted()
  }
}
