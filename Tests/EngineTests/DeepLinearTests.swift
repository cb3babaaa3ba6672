import Engine
import Testing

/// Inputs and targets in memory.
struct Samples: RegressionRows {
  let count, inputCount, targetCount: Int
  private(set) var x, y: [Double]

  /// Draws independent normal inputs, of which each has a deviation from `scales`, and targets M x + `noise` normal
  /// numbers, in which M is normal times `target`.
  init(
    count: Int = 40, inputs: Int = 8, targets: Int = 5, scales: ClosedRange<Double> = 1...1,
    target: Double = 1, noise: Double = 0.1, seed: UInt64
  ) {
    (self.count, inputCount, targetCount) = (count, inputs, targets)
    var random = RandomNumbers(seed, "samples")
    let step = (scales.upperBound - scales.lowerBound) / Double(max(inputs - 1, 1))
    x = (0..<count * inputs).map {
      (scales.lowerBound + step * Double($0 % inputs)) * random.doubleNormal()
    }
    let map = (0..<targets * inputs).map { _ in target * random.doubleNormal() }
    y = []
    for row in 0..<count {
      for output in 0..<targets {
        let value = (0..<inputs).reduce(0.0) { $0 + map[output * inputs + $1] * x[row * inputs + $1] }
        y.append(value + noise * random.doubleNormal())
      }
    }
  }

  /// Some of the rows.
  init(_ whole: Samples, _ rows: [Int]) {
    (count, inputCount, targetCount) = (rows.count, whole.inputCount, whole.targetCount)
    x = rows.flatMap { whole.x[$0 * whole.inputCount..<($0 + 1) * whole.inputCount] }
    y = rows.flatMap { whole.y[$0 * whole.targetCount..<($0 + 1) * whole.targetCount] }
  }

  /// The same rows with the inputs replaced.
  func replacing(x: [Double]) -> Samples {
    var samples = self
    samples.x = x
    return samples
  }

  func copy(_ rows: Range<Int>, inputs: DoubleMatrix, targets: DoubleMatrix) {
    inputs.set(Array(x[rows.lowerBound * inputCount..<rows.upperBound * inputCount]))
    targets.set(Array(y[rows.lowerBound * targetCount..<rows.upperBound * targetCount]))
  }
}

/// The arithmetic of block coordinate descent against its formulas, written out.
@Suite struct DeepLinearTests {
  private typealias Columns = [[Double]]

  /// a · b of matrices in order of the rows.
  private static func product(_ a: Columns, _ b: Columns) -> Columns {
    a.map { row in b[0].indices.map { c in row.indices.reduce(0.0) { $0 + row[$1] * b[$1][c] } } }
  }

  private static func transposed(_ a: Columns) -> Columns {
    a[0].indices.map { c in a.map { $0[c] } }
  }

  private static func rows(_ values: [Double], _ columns: Int) -> Columns {
    stride(from: 0, to: values.count, by: columns).map { Array(values[$0..<$0 + columns]) }
  }

  private static func square(_ a: Columns) -> Double { a.joined().reduce(0) { $0 + $1 * $1 } }

  private static func difference(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / max(b.reduce(0) { max($0, abs($1)) }, 1e-300)
  }

  static let shapes = [[4, 3], [4, 6, 3], [3, 7, 2, 5, 4], [6, 4, 4, 1]]

  /// The gradient, the moments, the loss and ‖A G B‖² of each block, with more rows than a chunk.
  @Test(arguments: shapes) func matchesTheFormulas(widths: [Int]) throws {
    let (shape, seed) = (DeepLinearShape(widths: widths), UInt64(301))
    let samples = Samples(count: 600, inputs: shape.inputs, targets: shape.outputs, seed: seed)
    let network = DeepLinearNetwork(shape)
    network.draw(.gaussian, seed: seed)
    let statistics = RowStatistics(samples, workers: Workers(3))
    let weights = (0..<shape.depth).map { Self.rows(network.weight($0), shape.matrix($0).columns) }
    let x = Self.transposed(Self.rows(samples.x, samples.inputCount))
    let y = Self.transposed(Self.rows(samples.y, samples.targetCount))
    for block in (0..<shape.depth).shuffled() {
      let b = weights[..<block].reduce(x) { Self.product($1, $0) }
      let above = weights[(block + 1)...].reversed()
      func applyingAbove(_ matrix: Columns) -> Columns {
        above.reversed().reduce(matrix) { Self.product($1, $0) }
      }
      let output = applyingAbove(Self.product(weights[block], b))
      let residuals = zip(output, y).map { zip($0, $1).map(-) }
      let back = above.reduce(residuals) { Self.product(Self.transposed($1), $0) }
      let gradient = Self.product(back, Self.transposed(b))
      let own = BlockStatistics(of: block, network, statistics, moments: true)
      #expect(abs(own.loss / (Self.square(residuals) / 2) - 1) < 1e-12, "seed \(seed)")
      #expect(Self.difference(own.gradient, Array(gradient.joined())) < 1e-11, "seed \(seed)")
      let moments = BlockStatistics.unpack(try #require(own.moments), size: shape.widths[block])
      let square = Self.product(b, Self.transposed(b))
      #expect(Self.difference(moments.matrix.array(), Array(square.joined())) < 1e-12, "seed \(seed)")
      let curvature = Self.square(Self.product(applyingAbove(gradient), b))
      let box = DoubleBox(gradient.count, gradient[0].count)
      box.matrix.set(own.gradient)
      let exchanged = network.curvature(of: block, along: box.matrix, statistics)
      let ofMoments = network.curvature(of: block, along: box.matrix, moments: moments.matrix)
      #expect(abs(exchanged / curvature - 1) < 1e-11, "seed \(seed)")
      #expect(abs(ofMoments / curvature - 1) < 1e-11, "seed \(seed)")
    }
  }

  /// Blocks change in any order, and the products that are kept follow.
  @Test func keptProductsFollowTheBlocks() {
    let (shape, seed) = (DeepLinearShape(widths: [4, 5, 3, 6, 5, 2]), UInt64(302))
    let rows = RowStatistics(
      Samples(inputs: shape.inputs, targets: shape.outputs, seed: seed), workers: Workers(1))
    let network = DeepLinearNetwork(shape)
    network.draw(.gaussian, seed: seed)
    var random = RandomNumbers(seed, "order")
    for _ in 0..<60 {
      let block = random.below(shape.depth)
      let (height, width) = shape.matrix(block)
      let gradient = DoubleBox(height, width)
      _ = network.gradient(of: block, rows, into: gradient.matrix)
      network.step(
        block, along: gradient.matrix, curvature: network.curvature(of: block, along: gradient.matrix, rows))
      let fresh = DeepLinearNetwork(shape)
      for block in 0..<shape.depth { fresh.setWeight(block, network.weight(block)) }
      let next = random.below(shape.depth)
      #expect(
        Self.difference(
          BlockStatistics(of: next, network, rows, moments: true).gradient,
          BlockStatistics(of: next, fresh, rows, moments: true).gradient) < 1e-11, "seed \(seed)")
    }
  }

  /// Bits do not depend on the number of workers.
  @Test func workersDoNotChangeTheResult() {
    let samples = Samples(count: 5000, seed: 303)
    let results = [1, 2, 5].map { workers in
      let network = DeepLinearNetwork(DeepLinearShape(inputs: 8, outputs: 5, width: 12, depth: 3))
      network.draw(.orthogonal, seed: 303)
      let rows = RowStatistics(samples, workers: Workers(workers))
      let own = BlockStatistics(of: 1, network, rows, moments: true)
      network.sweep(on: rows)
      return (own, network.weight(0) + network.weight(1) + network.weight(2))
    }
    #expect(results.allSatisfy { $0.0 == results[0].0 && $0.1 == results[0].1 }, "seed 303")
  }

  /// The corners of random orthogonal matrices have orthonormal rows or columns, and are not always the same one.
  @Test func orthogonalStart() {
    let shape = DeepLinearShape(widths: [6, 9, 9, 3])
    for seed in UInt64(1)...5 {
      let network = DeepLinearNetwork(shape)
      network.draw(.orthogonal, seed: seed)
      for block in 0..<shape.depth {
        let weight = Self.rows(network.weight(block), shape.matrix(block).columns)
        let product =
          weight.count <= weight[0].count
          ? Self.product(weight, Self.transposed(weight)) : Self.product(Self.transposed(weight), weight)
        for (row, values) in product.enumerated() {
          for (column, value) in values.enumerated() {
            #expect(abs(value - (row == column ? 1 : 0)) < 1e-14, "seed \(seed)")
          }
        }
      }
    }
  }

  /// The mean and the mean square of the elements over many draws are those of the uniform distribution: 0 and 1 / n.
  /// Without the signs of R's diagonal, LAPACK's Q has a mean far from 0.
  @Test func orthogonalStartIsUniform() {
    let draws = 4000
    var (sum, square) = ([Double](repeating: 0, count: 12), [Double](repeating: 0, count: 12))
    for seed in 0..<draws {
      let network = DeepLinearNetwork(DeepLinearShape(widths: [4, 3]))
      network.draw(.orthogonal, seed: UInt64(seed))
      for (index, value) in network.weight(0).enumerated() {
        sum[index] += value / Double(draws)
        square[index] += value * value / Double(draws)
      }
    }
    // Five standard errors; that of the mean is ½ / √4000, that of the square 0.22 / √4000.
    #expect(
      sum.allSatisfy { abs($0) < 0.04 } && square.allSatisfy { abs($0 - 0.25) < 0.018 }, "\(sum) \(square)")
  }

  /// The loss falls by ½ ‖G‖⁴ / ‖A G B‖² exactly.
  @Test func theLossFallsByTheFormula() {
    let rows = RowStatistics(Samples(seed: 305), workers: Workers(1))
    let network = DeepLinearNetwork(DeepLinearShape(inputs: 8, outputs: 5, width: 7, depth: 4))
    network.draw(.orthogonal, seed: 305)
    for block in 0..<4 {
      let before = network.loss(rows)
      let own = BlockStatistics(of: block, network, rows, moments: true)
      let rate = network.step(own)
      let fall = own.gradient.reduce(0) { $0 + $1 * $1 } * rate / 2
      #expect(abs((before - network.loss(rows)) / fall - 1) < 1e-10, "seed 305")
    }
  }

  /// Where ‖A G B‖ = 0 the rate is 0: rows of zeros, and weights of zeros above.
  @Test func aVanishingGradientChangesNothing() {
    let samples = Samples(seed: 306)
    let zeros = samples.replacing(x: Array(repeating: 0, count: samples.x.count))
    let network = DeepLinearNetwork(DeepLinearShape(inputs: 8, outputs: 5, width: 6, depth: 2))
    network.draw(.orthogonal, seed: 306)
    let before = network.weight(0)
    #expect(network.sweep(on: RowStatistics(zeros, workers: Workers(1))).rates == [0, 0])
    #expect(network.weight(0) == before)
    network.setWeight(1, Array(repeating: 0, count: 30))
    let own = BlockStatistics(
      of: 0, network, RowStatistics(samples, workers: Workers(1)), moments: true)
    #expect(network.step(own) == 0 && network.weight(0) == before)
  }

  /// Clients of any sizes, by either form, take the step of all their rows at one place.
  @Test(arguments: SweepOrder.allCases, [[40], [20, 20], [1, 3, 36], [13, 13, 13, 1]])
  func clientsTakeTheStepOfAllRows(order: SweepOrder, sizes: [Int]) {
    let (samples, seed) = (Samples(seed: 307), UInt64(307))
    let shape = DeepLinearShape(inputs: 8, outputs: 5, width: 9, depth: 4)
    let whole = RowStatistics(samples, workers: Workers(1))
    var (first, clients): (Int, [RowStatistics]) = (0, [])
    for size in sizes {
      clients.append(RowStatistics(Samples(samples, Array(first..<first + size)), workers: Workers(1)))
      first += size
    }
    let networks = (0..<3).map { _ in DeepLinearNetwork(shape) }
    for network in networks { network.draw(.orthogonal, seed: seed) }
    let (central, moments, exchange) = (networks[0], networks[1], networks[2])
    for _ in 0..<3 {
      central.sweep(order, on: whole)
      for block in order.blocks(shape.depth) {
        let sum = clients.map { BlockStatistics(of: block, moments, $0, moments: true) }
          .reduce(nil as BlockStatistics?) { $0?.adding($1) ?? $1 }!
        moments.step(sum)
        let gradients = clients.map { BlockStatistics(of: block, exchange, $0, moments: false) }
          .reduce(nil as BlockStatistics?) { $0?.adding($1) ?? $1 }!
        let (height, width) = shape.matrix(block)
        let gradient = DoubleBox(height, width)
        gradient.matrix.set(gradients.gradient)
        let curvature = clients.reduce(0.0) {
          $0 + exchange.curvature(of: block, along: gradient.matrix, $1)
        }
        exchange.step(block, along: gradient.matrix, curvature: curvature)
      }
    }
    for block in 0..<shape.depth {
      #expect(Self.difference(moments.weight(block), central.weight(block)) < 1e-13, "seed \(seed)")
      #expect(Self.difference(exchange.weight(block), central.weight(block)) < 1e-13, "seed \(seed)")
    }
  }

  @Test func pairsKeepFortyNineBits() {
    var random = RandomNumbers(308)
    for _ in 0..<10_000 {
      let value = random.doubleNormal() * Double(random.uniform(-20, 20))
      let (high, low) = FloatPairs.split(value)
      #expect(high == Float(value) && abs(FloatPairs.join(high, low) / value - 1) <= 0x1p-49, "seed 308")
    }
    let values = [0, -0.0, 1, .pi, -1e30, 1e-30]
    let pairs = FloatPairs.encode(values)
    #expect(
      zip(pairs.withUnsafeBufferPointer(FloatPairs.decode), values).allSatisfy {
        abs($0 - $1) <= abs($1) * 0x1p-49
      })
    for value in [1e39, -1e39, .infinity, .nan] {
      let (high, low) = FloatPairs.split(value)
      #expect(!high.isFinite && !low.isFinite && !FloatPairs.join(high, low).isFinite)
    }
  }
}
