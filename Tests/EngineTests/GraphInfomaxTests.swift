import Engine
import Testing

@Suite struct GraphInfomaxTests {
  private final class Fixture {
    let loss: GraphInfomaxLoss
    let bench: Bench
    let u, v, du, dv: Matrix
    let local, global: GraphInfomaxLoss.Predictor
    private let workers: Workers

    init(
      _ configuration: GraphInfomaxConfiguration, batch: Int, width: Int, workers: Int = 1, seed: UInt64
    ) {
      var (layout, work) = (Layout(), Layout(alignment: 16))
      local = GraphInfomaxLoss.Predictor("local", width: width, in: &layout)
      global = GraphInfomaxLoss.Predictor("global", width: width, in: &layout)
      loss = GraphInfomaxLoss(configuration, local: local, global: global, in: &work)
      let (z, dz) = (work.add("z", 2 * batch, width), work.add("dz", 2 * batch, width))
      bench = Bench(layout, work: work, seed: seed)
      (u, v) = (bench[z].rows(0..<batch), bench[z].rows(batch..<2 * batch))
      (du, dv) = (bench[dz].rows(0..<batch), bench[dz].rows(batch..<2 * batch))
      self.workers = Workers(workers)
    }

    func callAsFunction() -> GraphInfomaxLoss.Terms {
      bench.withWork { loss.loss(u, v, into: du, dv, bench.parameters, bench.gradients, $0, workers) }
    }
  }

  /// Moves the hidden layer of a predictor away from the kink of ReLU: half of its units are positive, half are 0.
  static func keepFromKinks(_ predictor: GraphInfomaxLoss.Predictor, _ parameters: borrowing Storage) {
    let bias = parameters[predictor.first.bias!]
    for unit in 0..<bias.count { bias[0, unit] = unit % 2 == 0 ? 8 : -8 }
  }

  /// Batch, width: fewer nodes than columns, one chunk, several chunks with a remainder.
  private static let sizes = [(batch: 2, width: 5), (7, 4), (64, 8), (150, 6)]

  @Test(arguments: sizes) func gradients(_ size: (batch: Int, width: Int)) {
    for configuration in [
      GraphInfomaxConfiguration(prediction: 25, variance: 10, covariance: 1),
      GraphInfomaxConfiguration(prediction: 1, variance: 0, covariance: 0),
      GraphInfomaxConfiguration(prediction: 0, variance: 1, covariance: 0),
      GraphInfomaxConfiguration(prediction: 0, variance: 0, covariance: 1),
    ] {
      let f = Fixture(configuration, batch: size.batch, width: size.width, seed: 431)
      for predictor in [f.local, f.global] { Self.keepFromKinks(predictor, f.bench.parameters) }
      _ = f()
      let (du, dv) = (f.du.array(), f.dv.array())
      f.bench.expectGradients(
        [Differentiable("u", f.u, gradient: du), Differentiable("v", f.v, gradient: dv)]
      ) { configuration.weighted(f()).reduce(0) { $0 + $1.value } }
    }
  }

  /// With predictors of 0 the residuals are u and v. Columns of ±1 with no correlation have C = n / (n - 1) I.
  @Test func termsOfGivenFeatures() {
    let f = Fixture(GraphInfomaxConfiguration(), batch: 4, width: 2, seed: 432)
    Elementwise.fill(f.bench.parameters.all, 0)
    for z in [f.u, f.v] { z.set([1, 1, 1, -1, -1, 1, -1, -1]) }
    let terms = f()
    #expect(terms.prediction == 2)
    #expect(abs(terms.variance - 2.0 / 9) < 1e-6 && terms.covariance == 0)
    // A second column equal to the first has the covariance 4 / 3 in both places.
    for z in [f.u, f.v] { z.set([1, 1, 1, 1, -1, -1, -1, -1]) }
    #expect(abs(f().covariance - 2 * 16.0 / 9) < 1e-5)
  }

  /// The terms do not see a shift of the features, and their gradients have no part in its direction.
  @Test func spreadDoesNotDependOnTheMean() {
    let f = Fixture(
      GraphInfomaxConfiguration(prediction: 0, variance: 1, covariance: 1), batch: 90, width: 6, seed: 433)
    let before = f()
    for c in 0..<6 { #expect(abs(f.du.columns(c..<c + 1).doubles.reduce(0, +)) < 1e-5) }
    for row in 0..<90 { for c in 0..<6 { f.u[row, c] += 3 } }
    let after = f()
    #expect(abs(after.variance - before.variance) < 1e-4 && abs(after.covariance - before.covariance) < 1e-4)
  }

  @Test func workersChangeNotABit() {
    var results: [[UInt32]] = []
    for workers in [1, 2, 3] {
      let f = Fixture(GraphInfomaxConfiguration(), batch: 300, width: 8, workers: workers, seed: 434)
      _ = f()
      results.append(f.du.bits + f.dv.bits + f.bench.gradients.all.bits)
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }
}
