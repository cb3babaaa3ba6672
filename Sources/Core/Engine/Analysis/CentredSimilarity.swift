/// The normalised similarities R of N samples, or of their classes, by which ``NormalisedHSIC`` measures how one
/// variable depends on another: the points of an information plane (E2E-info, arXiv 2402.09050).
///
///     R = HKH (HKH + ε N 1)⁻¹ = 1 - ε N P        nHSIC(A, B) = Σ R_A ⊙ R_B
///
/// P is kept, so that a variable is compared with others at the cost of a product of elements. The numbers grow with N:
/// only those of the same samples are comparable.
package final class CentredSimilarity {
  package let samples: Int
  private let ridge: Double
  private let storage: Storage
  private let slot: DoubleSlot
  /// Whether P exists: the samples are finite.
  private let isFinite: Bool

  /// The similarities of samples [N, d] under the settings' kernel.
  package init(_ x: Matrix, _ settings: NormalisedHSIC.Settings = .init()) {
    var layout = Layout(alignment: 16)
    (samples, ridge) = (x.rows, settings.epsilon * Double(x.rows))
    slot = layout.addDoubles("inverse", x.rows, x.rows)
    let distances = PairwiseDistances(samples: x.rows, columns: x.columns, in: &layout)
    let similarities = Similarities(
      settings.kernel(columns: x.columns), distances, samples: x.rows, in: &layout)
    storage = Storage(layout)
    let k = storage[slot]
    _ = similarities.forward(x, squared: k, into: k, storage)
    isFinite = NormalisedHSIC.invert(k, ridge: ridge)
  }

  /// The similarities of one-hot rows of `count` classes [N, count].
  package init(classes: [Int], count: Int, _ settings: NormalisedHSIC.Settings = .init()) {
    precondition(count > 0, "\(count) classes")
    var layout = Layout(alignment: 16)
    (samples, ridge) = (classes.count, settings.epsilon * Double(classes.count))
    slot = layout.addDoubles("inverse", classes.count, classes.count)
    storage = Storage(layout)
    let (k, other) = (storage[slot], settings.otherClass(of: count))
    for (i, a) in classes.enumerated() {
      for (j, b) in classes.enumerated() { k[i, j] = a == b ? 1 : other }
    }
    isFinite = NormalisedHSIC.invert(k, ridge: ridge)
  }

  /// Returns nHSIC of both variables, 0 … N - 1; NaN if a sample is not finite.
  package func dependence(on other: CentredSimilarity) -> Double {
    precondition(
      samples == other.samples && ridge == other.ridge, "\(samples) and \(other.samples) samples")
    guard isFinite && other.isFinite else { return .nan }
    let (a, b) = (storage[slot], other.storage[other.slot])
    var total = 0.0
    for i in 0..<samples {
      let (p, q) = (a.row(i), b.row(i))
      var sum = 0.0
      for j in 0..<samples where j != i { sum += ridge * p[j] * (ridge * q[j]) }
      total += sum + (1 - ridge * p[i]) * (1 - ridge * q[i])
    }
    return total
  }
}
