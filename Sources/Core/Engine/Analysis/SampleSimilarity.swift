/// The similarities of N samples, or of their classes, and their entropies: the points of an information
/// plane (E2E-info, arXiv 2402.09050).
///
/// The numbers are measures of dependence that grow with N: only those of the same samples are comparable.
package final class SampleSimilarity {
  package let samples: Int
  /// σ; nil for classes.
  package let width: Double?
  private let storage: Storage
  private let slot: DoubleSlot

  /// The similarities of samples [N, d] under a kernel.
  package init(_ x: Matrix, _ kernel: SimilarityKernel = .gaussian) {
    var layout = Layout(alignment: 16)
    samples = x.rows
    slot = layout.addDoubles("similarities", x.rows, x.rows)
    let distances = PairwiseDistances(samples: x.rows, columns: x.columns, in: &layout)
    let similarities = Similarities(kernel, distances, samples: x.rows, in: &layout)
    storage = Storage(layout)
    width = similarities.forward(x, squared: storage[slot], into: storage[slot], storage)
  }

  /// 1 of samples of the same class, otherwise 0.
  package init(classes: [Int]) {
    var layout = Layout(alignment: 16)
    samples = classes.count
    width = nil
    slot = layout.addDoubles("similarities", classes.count, classes.count)
    storage = Storage(layout)
    for (i, a) in classes.enumerated() {
      for (j, b) in classes.enumerated() { storage[slot][i, j] = a == b ? 1 : 0 }
    }
  }

  /// Returns S_α(K / N) in bits, 0 … log2 N; NaN if a sample is not finite.
  package func entropy(alpha: Double) -> Double { Self.entropy(self, self, isJoint: false, alpha) }

  /// Returns S_α(K ⊙ K' / N) in bits.
  package func jointEntropy(with other: SampleSimilarity, alpha: Double) -> Double {
    Self.entropy(self, other, isJoint: true, alpha)
  }

  /// Returns I_α = S + S' - S(K ⊙ K') in bits. That of samples with themselves is not their entropy.
  package func information(with other: SampleSimilarity, alpha: Double) -> Double {
    entropy(alpha: alpha) + other.entropy(alpha: alpha) - jointEntropy(with: other, alpha: alpha)
  }

  /// Returns I_α of all pairs of `variables` of the same samples, a symmetric matrix.
  package static func information(
    _ variables: [SampleSimilarity], alpha: Double, workers: Workers
  ) -> [[Double]] {
    let count = variables.count
    let pairs = (0..<count).flatMap { a in (a..<count).map { b in (a, b) } }
    // Entropies of single variables, then those of pairs.
    let tasks = (0..<count).map { ($0, $0, false) } + pairs.map { ($0.0, $0.1, true) }
    var entropies = [Double](repeating: 0, count: tasks.count)
    entropies.withUnsafeMutableBufferPointer { entropies in
      workers.run(tasks.count) { task, _ in
        let (a, b, isJoint) = tasks[task]
        entropies[task] = entropy(variables[a], variables[b], isJoint: isJoint, alpha)
      }
    }
    var matrix = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
    for (index, (a, b)) in pairs.enumerated() {
      matrix[a][b] = entropies[a] + entropies[b] - entropies[count + index]
      matrix[b][a] = matrix[a][b]
    }
    return matrix
  }

  private static func entropy(
    _ a: SampleSimilarity, _ b: SampleSimilarity, isJoint: Bool, _ alpha: Double
  ) -> Double {
    precondition(a.samples == b.samples, "\(a.samples) and \(b.samples) samples")
    var layout = Layout(alignment: 16)
    let entropy = RenyiEntropy(alpha: alpha, samples: a.samples, in: &layout)
    let joint = layout.addDoubles("joint similarities", a.samples, a.samples)
    let work = Storage(layout)
    work[joint].copy(a.storage[a.slot])
    if isJoint { work[joint].combine(b.storage[b.slot]) { $0 * $1 } }
    return entropy.value(work[joint], work)
  }
}
