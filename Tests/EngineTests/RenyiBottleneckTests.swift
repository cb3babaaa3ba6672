import Engine
import Foundation
import Testing

@Suite struct RenyiBottleneckTests {
  typealias Settings = RenyiBottleneck.Settings

  /// Normal inputs and features, and work space with random numbers.
  private struct Fixture {
    let bottleneck: RenyiBottleneck
    let bench: Bench
    let x, t, dt: Matrix

    init(_ settings: Settings, batch: Int = 13, inputs: Int = 21, features: Int = 6, seed: UInt64) {
      var work = Layout()
      // The samples are first, so that they do not depend on the settings.
      let x = work.add("x", batch, inputs + 2)
      let slots = ["t", "dt"].map { work.add($0, batch, features + 3) }
      bottleneck = RenyiBottleneck(
        settings, batch: batch, inputs: inputs, features: features, in: &work)
      bench = Bench(Layout(), work: work, seed: seed)
      self.x = bench[x].columns(1..<1 + inputs)
      t = bench[slots[0]].columns(2..<2 + features)
      dt = bench[slots[1]].columns(0..<features)
      // The samples resemble each other, so that I(X; T) is between its bounds.
      for row in 0..<batch { t[row, 0] = self.x[row, 0] }
    }

    /// Returns the term's numbers, and what is added to the gradient.
    func callAsFunction() -> (values: RenyiBottleneck.Values, gradient: [Float]) {
      Elementwise.fill(dt, 0)
      let values = bench.withWork { bottleneck.values(x: x, t: t, adding: dt, $0) }
      return (values, dt.array())
    }

    func loss() -> Float { bench.withWork { bottleneck.loss(x: x, t: t, adding: dt, $0) } }

    /// The similarities of the inputs and of the features by the formulas.
    func reference() -> (x: ReferenceSimilarities, t: ReferenceSimilarities) {
      let settings = bottleneck.settings
      var fixed: (Double?, Double?)
      if case .fixed(let inputs, let features) = settings.widths { fixed = (inputs, features) }
      func similarities(_ samples: Matrix, _ fixed: Double?) -> ReferenceSimilarities {
        ReferenceSimilarities(
          samples, settings.kernel, widths: settings.widths, neighbours: settings.neighbours, fixed: fixed)
      }
      return (similarities(x, fixed.0), similarities(t, fixed.1))
    }

    /// The term by the formulas, without its weight.
    func term() -> Double {
      let (x, t) = reference()
      let alpha = bottleneck.settings.alpha
      return bottleneck.settings.term == .information ? x.information(t, alpha) : t.entropy(alpha)
    }
  }

  /// All kernels and rules of widths, with orders that need eigenvalues and that do not.
  static let settings: [Settings] = [
    Settings(weight: 1), Settings(weight: 0.3, alpha: 2), Settings(weight: 1, alpha: 3.5, neighbours: 3),
    Settings(weight: 2, term: .entropy), Settings(weight: 1, term: .entropy, alpha: 2, neighbours: 1),
    Settings(weight: 1, kernel: .dib), Settings(weight: 1, alpha: 2, kernel: .dib, neighbours: 40),
    Settings(weight: 1, alpha: 2, kernel: .dib, widths: .nearest),
    Settings(weight: 1, kernel: .gaussian, widths: .first, neighbours: 4),
    Settings(weight: 1, widths: .fixed(inputs: 4, features: 2)),
    Settings(weight: 1, alpha: 2, kernel: .dib, widths: .fixed(inputs: 9, features: 3)),
  ]

  @Test(arguments: settings) func matchesTheFormulas(settings: Settings) {
    let f = Fixture(settings, seed: 201)
    let (values, alpha) = (f().values, settings.alpha)
    let (x, t) = f.reference()
    #expect(abs(values.featureWidth - t.width) < 1e-12)
    #expect(abs(values.featureEntropy - t.entropy(alpha)) < 1e-10, "seed 201")
    #expect(abs(values.term - f.term()) < 1e-10, "seed 201")
    guard settings.term == .information else {
      #expect(values.inputWidth.isNaN && values.inputEntropy.isNaN && values.jointEntropy.isNaN)
      return
    }
    #expect(abs(values.inputWidth - x.width) < 1e-12)
    #expect(abs(values.inputEntropy - x.entropy(alpha)) < 1e-10, "seed 201")
    #expect(abs(values.jointEntropy - x.jointEntropy(t, alpha)) < 1e-10, "seed 201")
  }

  /// Steps are short, because the gradient jumps where neighbours change places.
  @Test(arguments: settings) func gradients(settings: Settings) {
    let f = Fixture(settings, seed: 202)
    let gradient = f().gradient
    FiniteDifferences(seed: 202, step: 2e-3, halvings: 4, tolerance: 1e-3)
      .expect([Differentiable("t", f.t, gradient: gradient)]) { Double(settings.weight) * f.term() }
  }

  /// Without the width's gradient, the gradient is that at a fixed width.
  @Test(arguments: settings) func aConstantWidthHasNoGradient(settings: Settings) {
    var constant = settings
    constant.widthGradient = false
    let f = Fixture(constant, seed: 203)
    let (values, gradient) = f()
    var fixed = constant
    fixed.widthGradient = true
    let inputs = values.inputWidth.isNaN ? 1 : values.inputWidth
    fixed.widths = .fixed(inputs: inputs, features: values.featureWidth)
    #expect(Fixture(fixed, seed: 203)().gradient == gradient, "seed 203")
  }

  @Test(arguments: settings) func entropiesAreWithinTheirBounds(settings: Settings) {
    for (seed, scale) in [(204, 1e-3), (205, 1), (206, 1e4)] as [(UInt64, Float)] {
      let f = Fixture(settings, seed: seed)
      f.t.set(f.t.array().map { $0 * scale })
      let v = f().values
      let joint = v.jointEntropy.isNaN ? v.featureEntropy : v.jointEntropy
      for entropy in [v.inputEntropy, v.featureEntropy, v.jointEntropy] where !entropy.isNaN {
        #expect(entropy > -1e-9 && entropy < log2(13) + 1e-9, "seed \(seed)")
      }
      #expect(joint > v.featureEntropy - 1e-9 && v.term > -1e-9, "seed \(seed)")
    }
  }

  /// The width follows the features' scale, so neither the term nor its gradient's part along the features
  /// does.
  @Test(arguments: [1.01, 2]) func aGaussianKernelDoesNotDependOnTheScale(alpha: Double) {
    let f = Fixture(Settings(weight: 1, alpha: alpha), batch: 20, seed: 207)
    let (before, gradient) = f()
    let length = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(length > 1e-3)
    #expect(abs(f.t.inner(f.dt)) < 1e-6 * length, "seed 207")
    f.t.set(f.t.array().map { $0 * 1024 })
    let after = f()
    #expect(abs(after.values.term - before.term) < 1e-12)
    for (a, b) in zip(after.gradient, gradient) { #expect(abs(a * 1024 - b) < 1e-5) }
    // With a constant width, gradient descent shrinks the features.
    let constant = Fixture(Settings(weight: 1, alpha: alpha, widthGradient: false), batch: 20, seed: 207)
    _ = constant()
    #expect(constant.t.inner(constant.dt) > 1e-3, "seed 207")
  }

  @Test(arguments: settings) func theWeightScalesLossAndGradient(settings: Settings) {
    var heavier = settings
    heavier.weight *= 4
    let (f, g) = (Fixture(settings, seed: 208), Fixture(heavier, seed: 208))
    #expect(f().gradient.map { $0 * 4 } == g().gradient)
    #expect(f.loss() * 4 == g.loss())
    #expect(Double(f.loss()) == Double(Float(Double(settings.weight) * f().values.term)))
  }

  @Test func theGradientIsAdded() {
    let f = Fixture(Settings(weight: 1), seed: 209)
    let gradient = f().gradient
    Elementwise.fill(f.dt, 1)
    _ = f.loss()
    for (sum, part) in zip(f.dt.array(), gradient) { #expect(abs(sum - 1 - part) < 1e-6) }
  }

  /// Without differences of the features there is no width, and no term.
  @Test(arguments: settings.filter { if case .fixed = $0.widths { false } else { true } })
  func equalFeaturesHaveNoTerm(settings: Settings) {
    let f = Fixture(settings, seed: 210)
    for row in 1..<f.t.rows { Elementwise.copy(f.t.rows(0..<1), to: f.t.rows(row..<row + 1)) }
    let (values, gradient) = f()
    #expect(values.featureWidth == 0 && values.term == 0 && abs(values.featureEntropy) < 1e-9)
    #expect(gradient.allSatisfy { $0 == 0 } && f.loss() == 0)
  }

  @Test func aSingleSampleHasNoTerm() {
    let f = Fixture(Settings(weight: 1), batch: 1, seed: 211)
    #expect(f.loss() == 0)
    #expect(f().gradient.allSatisfy { $0 == 0 })
  }

  /// Inputs that are all equal say nothing about the features.
  @Test(arguments: [1.01, 2]) func equalInputsHaveNoInformation(alpha: Double) {
    let f = Fixture(Settings(weight: 1, alpha: alpha), seed: 212)
    Elementwise.fill(f.x, 0.7)
    let (values, gradient) = f()
    #expect(values.inputWidth == 0 && abs(values.inputEntropy) < 1e-9 && abs(values.term) < 1e-9)
    #expect(gradient.allSatisfy { abs($0) < 1e-9 })
  }

  /// A second copy of all samples changes no eigenvalue but adds zeros, and halves the gradient.
  @Test(arguments: [1.01, 2, 3]) func duplicatesShareTheGradient(alpha: Double) {
    let widths = RenyiBottleneck.Widths.fixed(inputs: 5, features: 2)
    let settings = Settings(weight: 1, alpha: alpha, widths: widths)
    let once = Fixture(settings, batch: 7, seed: 213)
    let twice = Fixture(settings, batch: 14, seed: 214)
    for (from, to) in [(once.x, twice.x), (once.t, twice.t)] { to.set(from.array() + from.array()) }
    let (expected, gradient) = once()
    let (values, doubled) = twice()
    #expect(abs(values.term - expected.term) < 1e-10, "seed 213")
    let largest = gradient.reduce(0) { max($0, abs($1)) }
    for (index, value) in doubled.enumerated() {
      #expect(abs(2 * value - gradient[index % gradient.count]) < 1e-5 * largest, "seed 213")
    }
  }

  /// With the nearest widths, duplicates have distances of 0, whose root has no derivative.
  @Test(arguments: [1.01, 2]) func duplicatesHaveFiniteGradients(alpha: Double) {
    let f = Fixture(Settings(weight: 1, alpha: alpha, neighbours: 2), seed: 215)
    for row in [4, 5, 9] {
      Elementwise.copy(f.x.rows(2..<3), to: f.x.rows(row..<row + 1))
      Elementwise.copy(f.t.rows(2..<3), to: f.t.rows(row..<row + 1))
    }
    let (values, gradient) = f()
    #expect(abs(values.term - f.term()) < 1e-9, "seed 215")
    #expect(gradient.allSatisfy { $0.isFinite })
  }

  /// Of neighbours at the same distance, those with lower indices are in the width: samples on a grid, and
  /// the gradient of S(T) for α = 2 by the formulas.
  @Test(arguments: [1, 2, 3]) func equalDistancesTakeTheLowerIndex(neighbours: Int) {
    let settings = Settings(weight: 1, term: .entropy, alpha: 2, neighbours: neighbours)
    let f = Fixture(settings, batch: 9, features: 2, seed: 221)
    f.t.set([3, 0, 1, 1, 0, 1, 1, 0, 1, 2, 3, 3, 2, 1, 0, 0, 2, 2])
    let gradient = f().gradient
    let (reference, distances) = (f.reference().t, ReferenceSimilarities.distances(f.t))
    let (k, sigma) = (reference.matrix, reference.width)
    let scale = -2 / (log(2) * k.joined().reduce(0) { $0 + $1 * $1 })
    // W = dS/dK ⊙ K, dS/dσ = Σ W r² / σ³
    let w = k.map { row in row.map { scale * $0 * $0 } }
    let ofWidth =
      zip(w.joined(), distances.joined()).reduce(0) { $0 + $1.0 * $1.1 * $1.1 } / pow(sigma, 3)
    let nearest = distances.enumerated().map { own, row in
      row.indices.filter { $0 != own }.sorted { (row[$0], $0) < (row[$1], $1) }.prefix(neighbours)
    }
    for i in 0..<9 {
      for column in 0..<2 {
        var expected = 0.0
        for j in 0..<9 where j != i {
          let selected = (nearest[i].contains(j) ? 1.0 : 0) + (nearest[j].contains(i) ? 1 : 0)
          let v =
            -2 * w[i][j] / (sigma * sigma) + ofWidth * selected / (9 * Double(neighbours) * distances[i][j])
          expected += v * Double(f.t[i, column] - f.t[j, column])
        }
        #expect(abs(Double(gradient[2 * i + column]) - expected) < 1e-6)
      }
    }
  }

  /// Features far from the origin lose no digits that matter; nor do samples that nearly agree.
  @Test(arguments: [1 as Float, 1e-2, 1e-4]) func aCommonOffsetHarmsNothing(deviation: Float) {
    let f = Fixture(Settings(weight: 1, alpha: 2), features: 300, seed: 216)
    var random = RandomNumbers(216, "features")
    let offsets = (0..<300).map { _ in 1000 * random.normal() }
    f.t.set((0..<f.t.count).map { offsets[$0 % 300] + deviation * random.normal() })
    let (values, gradient) = f()
    #expect(abs(values.term - f.term()) < 1e-8, "seed 216")
    #expect(gradient.allSatisfy { $0.isFinite && $0 != 0 })
  }

  @Test(arguments: settings, [Float.nan, .infinity]) func whatIsNotANumberHasNoTerm(
    settings: Settings, value: Float
  ) {
    let f = Fixture(settings, seed: 217)
    f.t[3, 2] = value
    #expect(f.loss().isNaN)
    #expect(f().gradient.allSatisfy { $0 == 0 })
    guard settings.term == .information else { return }
    let g = Fixture(settings, seed: 217)
    g.x[12, 0] = value
    #expect(g.loss().isNaN)
    #expect(g().gradient.allSatisfy { $0 == 0 })
  }

  /// Inputs wider than the panels in which they are converted, and features too.
  @Test func wideSamples() {
    let f = Fixture(Settings(weight: 1, alpha: 2), batch: 9, inputs: 700, features: 300, seed: 218)
    let (values, gradient) = f()
    #expect(abs(values.term - f.term()) < 1e-10, "seed 218")
    FiniteDifferences(seed: 218, step: 2e-3, halvings: 4, tolerance: 1e-3)
      .expect([Differentiable("t", f.t, gradient: gradient)]) { f.term() }
  }

  @Test func samplesStayAsTheyAre() {
    let f = Fixture(Settings(weight: 1), seed: 219)
    let (x, t) = (f.x.bits, f.t.bits)
    _ = f()
    #expect(f.x.bits == x && f.t.bits == t)
  }

  /// The bits depend neither on what the memory contained nor on the thread or on other threads.
  @Test(arguments: [1.01, 2]) func isDeterministic(alpha: Double) {
    let settings = Settings(weight: 1, alpha: alpha)
    let fixtures = (0..<8).map { _ in Fixture(settings, batch: 40, features: 20, seed: 220) }
    let workers = Workers(4)
    var results: Set<[UInt32]> = []
    for _ in 0..<3 {
      workers.run(fixtures.count) { task, _ in _ = fixtures[task]() }
      for f in fixtures { results.insert(f.dt.bits) }
    }
    #expect(results.count == 1)
  }

  @Test func settingsThatNoTermCanHave() async {
    #expect(Settings(weight: 1).problem == nil)
    #expect(Settings(weight: 1, alpha: 1).problem != nil && Settings(weight: 1, alpha: .nan).problem != nil)
    #expect(Settings(weight: 1, neighbours: 0).problem != nil)
    #expect(Settings(weight: 1, widths: .fixed(inputs: 1, features: 0)).problem != nil)
    await #expect(processExitsWith: .failure) {
      var layout = Layout()
      _ = RenyiBottleneck(
        RenyiBottleneck.Settings(weight: 1, alpha: 1), batch: 4, inputs: 3, features: 2, in: &layout)
    }
  }
}
