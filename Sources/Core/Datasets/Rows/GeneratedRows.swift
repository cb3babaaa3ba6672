import Engine

/// Generated rows of a linear regression: normal inputs, and targets M x + noise for a random map M.
package struct GeneratedRows: Sendable, Hashable {
  package var inputs = 8
  package var targets = 5
  /// The standard deviation of the elements of M.
  package var scale = 1.0
  /// The standard deviation of the noise of a target.
  package var noise = 0.1
  /// The largest standard deviation of an input divided by the smallest. Those between are in equal steps, and the
  /// smallest times the largest is 1.
  package var spread = 1.0
  package var seed: UInt64 = 0

  package init() {}

  /// Takes the settings from the options of a specification.
  init(taking options: inout SpecificationOptions) throws(DatasetError) {
    inputs = try options.take("inputs", in: 1...FeatureRows.widest) ?? inputs
    targets = try options.take("targets", in: 1...FeatureRows.widest) ?? targets
    scale = try options.take("scale", in: 0...1e6) ?? scale
    noise = try options.take("noise", in: 0...1e6) ?? noise
    spread = try options.take("spread", in: 1...1e6) ?? spread
    seed = UInt64(try options.take("seed", in: 0...Int.max) ?? 0)
  }

  /// Returns the first `count` rows of the training or test stream. Both have the same M, and row i depends only on the
  /// settings, the role and i.
  package func rows(_ count: Int, role: DataRole) -> FeatureRows {
    var random = RandomNumbers(seed, "regression map", inputs, targets)
    let map = (0..<targets * inputs).map { _ in scale * random.doubleNormal() }
    let (least, most) = (1 / spread.squareRoot(), spread.squareRoot())
    let deviations = (0..<inputs).map {
      inputs == 1 ? 1 : least + (most - least) * Double($0) / Double(inputs - 1)
    }
    var (x, y): ([Double], [Double]) = ([], [])
    x.reserveCapacity(count * inputs)
    y.reserveCapacity(count * targets)
    for row in 0..<count {
      var random = RandomNumbers(seed, role == .train ? "regression train" : "regression test", row)
      let values = deviations.map { $0 * random.doubleNormal() }
      x += values
      for target in 0..<targets {
        var sum = noise * random.doubleNormal()
        for input in 0..<inputs { sum += map[target * inputs + input] * values[input] }
        y.append(sum)
      }
    }
    return FeatureRows(inputs: x, count: inputs, targets: y, count: targets)
  }
}
