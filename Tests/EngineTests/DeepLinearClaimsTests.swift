import Engine
import Testing

/// What "Effects of depth, width, and initialization" (Shin, arXiv 1910.05874) states of block coordinate descent on deep
/// linear networks, with the conditions under which it holds.
///
/// Rows have 8 inputs and 5 targets, and there are 40. "Left" is the loss above that of least squares, as a share of that
/// at the start; medians of nine starts.
@Suite struct DeepLinearClaimsTests {
  /// The rows, and their map of least squares.
  private struct Problem {
    let rows: RowStatistics
    let optimum: [Double]

    init(_ samples: Samples) throws {
      rows = RowStatistics(samples, workers: Workers(1))
      optimum = try #require(rows.leastSquares())
    }

    /// The loss above the least one is ½ ‖(M - M*) X‖², which does not cancel.
    func excess(_ network: DeepLinearNetwork) -> Double {
      let map = network.map()
      let difference = DoubleBox(map.matrix.rows, map.matrix.columns)
      difference.matrix.set(zip(map.matrix.array(), optimum).map(-))
      return rows.squaredNorm(of: difference.matrix) / 2
    }

    /// Returns what is left after some sweeps.
    func left(_ shape: DeepLinearShape, _ start: DeepLinearStart, sweeps: Int, seed: UInt64) -> Double {
      let network = DeepLinearNetwork(shape)
      network.draw(start, seed: seed)
      let before = excess(network)
      for _ in 0..<sweeps { network.sweep(on: rows) }
      return excess(network) / before
    }
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  private static func shape(depth: Int, width: Int = 20) -> DeepLinearShape {
    DeepLinearShape(inputs: 8, outputs: 5, width: width, depth: depth)
  }

  /// Inputs of deviations 0.5 to 2, so that X Xᵀ is badly conditioned.
  private static func unevenSamples(_ seed: UInt64) -> Samples { Samples(scales: 0.5...2, seed: seed) }

  private static func medianLeft(
    depth: Int, _ start: DeepLinearStart = .orthogonal, sweeps: Int = 1, of samples: (UInt64) -> Samples
  ) throws -> Double {
    median(
      try (UInt64(0)..<9).map { seed in
        try Problem(samples(seed)).left(shape(depth: depth), start, sweeps: sweeps, seed: seed)
      })
  }

  /// The exact rate is the best one on its line, for every layer, and the loss never rises.
  @Test(arguments: DeepLinearStart.allCases) func theRateIsOptimal(start: DeepLinearStart) {
    for seed in UInt64(0)..<3 {
      let rows = RowStatistics(Self.unevenSamples(seed), workers: Workers(1))
      let network = DeepLinearNetwork(Self.shape(depth: 4, width: 6))
      network.draw(start, seed: seed)
      var last = network.loss(rows)
      for block in [0, 1, 2, 3, 3, 2, 1, 0] {
        let (height, width) = network.shape.matrix(block)
        let gradient = DoubleBox(height, width)
        _ = network.gradient(of: block, rows, into: gradient.matrix)
        let weight = network.weight(block)
        let curvature = network.curvature(of: block, along: gradient.matrix, rows)
        let rate = network.step(block, along: gradient.matrix, curvature: curvature)
        let best = network.loss(rows)
        let (updated, direction) = (network.weight(block), gradient.matrix.array())
        for factor in [0.5, 0.99, 1.01, 1.5] {
          network.setWeight(block, zip(weight, direction).map { $0 - factor * rate * $1 })
          #expect(network.loss(rows) > best, "seed \(seed), block \(block), \(factor)")
        }
        network.setWeight(block, updated)
        #expect(best <= last, "seed \(seed), block \(block)")
        last = best
      }
    }
  }

  /// Deeper networks are faster for each sweep. A sweep of a deeper network has more updates; at an equal number of
  /// updates the order is another one for other rows, and nothing is claimed.
  @Test func deeperIsFasterForASweep() throws {
    let depths = [1, 2, 3, 5, 10, 20, 50]
    let left = try depths.map { try Self.medianLeft(depth: $0, of: Self.unevenSamples) }
    print("left after one sweep of depths \(depths), seeds 0 to 8: \(left)")
    for (shallow, deep) in zip(left, left.dropFirst()) { #expect(deep < shallow, "seeds 0 to 8: \(left)") }
    #expect(left[0] < 0.5 && left[6] < 0.01, "seeds 0 to 8: \(left)")
  }

  /// In the extreme case a single sweep suffices. It needs well-conditioned rows and a small target.
  @Test func aSweepOfADeepNetworkSuffices() throws {
    let easy = { (seed: UInt64) in Samples(target: 0.3, noise: 0, seed: seed) }
    let (fifty, hundred) = try (Self.medianLeft(depth: 50, of: easy), Self.medianLeft(depth: 100, of: easy))
    print("left after one sweep of depths 50 and 100, seeds 0 to 8: \(fifty), \(hundred)")
    #expect(fifty < 1e-8 && hundred < 1e-12, "seeds 0 to 8: \(fifty), \(hundred)")
    // The conditions: uneven features, or a larger target.
    let uneven = try Self.medianLeft(depth: 50) {
      Samples(scales: 0.5...2, target: 0.3, noise: 0, seed: $0)
    }
    let large = try Self.medianLeft(depth: 50) { Samples(target: 1, noise: 0, seed: $0) }
    print("the same of depth 50 with uneven features, and with a large target: \(uneven), \(large)")
    #expect(uneven > 1e-6 && large > 1e-7, "seeds 0 to 8: \(uneven), \(large)")
  }

  /// Beyond max(inputs, outputs) the width plays no role if all matrices have orthonormal rows or columns and their
  /// product is the same one at the start.
  @Test func widthPlaysNoRoleBeyondInputsAndOutputs() throws {
    for seed in UInt64(0)..<3 {
      let problem = try Problem(Self.unevenSamples(seed))
      let product = DeepLinearNetwork(DeepLinearShape(widths: [8, 5]))
      product.draw(.orthogonal, seed: seed)
      let losses = [8, 12, 30, 100].map { width in
        let network = DeepLinearNetwork(Self.shape(depth: 4, width: width))
        network.draw(.orthogonal, seed: seed + 100)
        network.matchProduct(product)
        return (0..<3).map { _ in
          network.sweep(on: problem.rows)
          return network.loss(problem.rows)
        }
      }
      for other in losses.dropFirst() {
        for (a, b) in zip(losses[0], other) { #expect(abs(a / b - 1) < 1e-13, "seed \(seed): \(losses)") }
      }
    }
  }

  /// Without the same product, corners of random orthogonal matrices shrink the product of a wide network.
  @Test func widthPlaysARoleForRandomCorners() throws {
    let easy = { (seed: UInt64) in Samples(target: 0.3, noise: 0, seed: seed) }
    let left = try [8, 20].map { width in
      Self.median(
        try (UInt64(0)..<9).map { seed in
          try Problem(easy(seed)).left(
            Self.shape(depth: 50, width: width), .orthogonal, sweeps: 1, seed: seed)
        })
    }
    print("left after one sweep of depth 50 at width 8 and 20, seeds 0 to 8: \(left)")
    #expect(left[0] > 1000 * left[1], "seeds 0 to 8: \(left)")
  }

  /// One matrix reaches the optimum with one update if the rows are whitened.
  @Test func oneUpdateSufficesOnWhitenedRows() throws {
    for seed in UInt64(0)..<9 {
      let samples = Self.unevenSamples(seed)
      let problem = try Problem(samples.replacing(x: try Self.whitened(samples)))
      let left = problem.left(Self.shape(depth: 1), .orthogonal, sweeps: 1, seed: seed)
      #expect(left < 1e-24, "seed \(seed): \(left)")
    }
  }

  /// Returns inputs whose X Xᵀ is m times the identity: Gram and Schmidt over the inputs, twice.
  private static func whitened(_ samples: Samples) throws -> [Double] {
    var x = samples.x
    func inner(_ a: Int, _ b: Int) -> Double {
      (0..<samples.count).reduce(0) { $0 + x[$1 * samples.inputCount + a] * x[$1 * samples.inputCount + b] }
    }
    for _ in 0..<2 {
      for input in 0..<samples.inputCount {
        for other in 0..<input {
          let share = inner(input, other) / inner(other, other)
          for row in 0..<samples.count {
            x[row * samples.inputCount + input] -= share * x[row * samples.inputCount + other]
          }
        }
        let scale = (Double(samples.count) / inner(input, input)).squareRoot()
        for row in 0..<samples.count { x[row * samples.inputCount + input] *= scale }
      }
    }
    return x
  }

  /// An orthogonal start leaves less than a Gaussian one of variance 1 / inputs.
  @Test func anOrthogonalStartIsFaster() throws {
    let orthogonal = try Self.medianLeft(depth: 10, .orthogonal, of: Self.unevenSamples)
    let gaussian = try Self.medianLeft(depth: 10, .gaussian, of: Self.unevenSamples)
    print(
      "left after one sweep of depth 10, orthogonal and Gaussian, seeds 0 to 8: \(orthogonal), \(gaussian)")
    #expect(orthogonal < gaussian / 2, "seeds 0 to 8: \(orthogonal), \(gaussian)")
  }
}

extension DeepLinearNetwork {
  /// Replaces the last matrix W_L with P Tᵀ, in which T = W_{L-1} … W_1 has orthonormal columns, so that the product of
  /// all is that of another network, P.
  fileprivate func matchProduct(_ other: DeepLinearNetwork) {
    let last = shape.depth - 1
    let below = DeepLinearNetwork(DeepLinearShape(widths: Array(shape.widths.dropLast())))
    for block in 0..<last { below.setWeight(block, weight(block)) }
    let (product, chain) = (other.mapValues, below.mapValues)
    let (inputs, width) = (shape.inputs, shape.widths[last])
    setWeight(
      last,
      (0..<shape.outputs).flatMap { output in
        (0..<width).map { unit in
          (0..<inputs).reduce(0.0) { $0 + product[output * inputs + $1] * chain[unit * inputs + $1] }
        }
      })
  }

  private var mapValues: [Double] {
    let map = map()
    return map.matrix.array()
  }
}
