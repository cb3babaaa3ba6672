import Foundation

/// The similarity of two samples as a function of their distance r and of a width σ, which may depend on all
/// samples of the batch.
package struct SimilarityKernel: Sendable, Hashable {
  package enum Shape: Sendable, Hashable {
    /// exp(-r² / (2 σ²))
    case gaussian
    /// exp(-r² / σ), as in the code of DIB (arXiv 2102.00533).
    case dib
    /// exp(-r / (2 σ²)), as in the code of E2E-info (arXiv 2402.09050); only with a fixed width.
    case plain
  }

  package enum Width: Sendable, Hashable {
    /// The mean over samples of the mean distance to that many nearest other samples, or to all others if
    /// there are fewer. Of equal distances, that to the lower index is the nearer.
    case nearest(Int)
    /// The mean distance to that many first samples of the batch, a sample's own distance 0 included, as in
    /// the code of DIB.
    case first(Int)
    case fixed(Double)
  }

  package let shape: Shape
  package let width: Width

  package init(_ shape: Shape, width: Width) {
    switch width {
    case .nearest(let count), .first(let count):
      precondition(count > 0, "the width of \(count) samples")
      precondition(shape != .plain, "a plain kernel needs a fixed width")
    case .fixed(let sigma): precondition(sigma > 0 && sigma.isFinite, "a width of \(sigma)")
    }
    (self.shape, self.width) = (shape, width)
  }

  /// A Gaussian kernel with the width of the ten nearest neighbours.
  package static let gaussian = SimilarityKernel(.gaussian, width: .nearest(10))

  /// Returns the factor c in exp(-c r²), or in exp(-c r) for the plain shape.
  fileprivate func factor(_ sigma: Double) -> Double { shape == .dib ? 1 / sigma : 1 / (2 * sigma * sigma) }

  /// The number of distances per sample in the width, of N samples; 0 if it is fixed.
  fileprivate func neighbours(of samples: Int) -> Int {
    switch width {
    case .nearest(let count): min(count, samples - 1)
    case .first(let count): min(count, samples)
    case .fixed: 0
    }
  }
}

/// The matrix of similarities of N samples [N, d] under a kernel, in float64, and its backward pass.
struct Similarities: Sendable {
  let kernel: SimilarityKernel
  private let distances: PairwiseDistances
  /// The indices of the samples whose distances are in the width [N, k], for each sample.
  private let neighbours: Slot?

  /// Adds the memory for the width to a layout. `distances` may be shared with other similarities.
  init(_ kernel: SimilarityKernel, _ distances: PairwiseDistances, samples: Int, in layout: inout Layout) {
    (self.kernel, self.distances) = (kernel, distances)
    let count = kernel.neighbours(of: samples)
    neighbours = count > 0 ? layout.add("neighbours", samples, count) : nil
  }

  /// Writes the squared distances and the similarities, and returns σ.       x [N, d]; squared, k [N, N]
  ///
  /// `k` may be `squared`. At σ = 0 the similarity is the limit: 1 of equal samples, otherwise 0.
  func forward(
    _ x: Matrix, squared: DoubleMatrix, into k: DoubleMatrix, _ work: borrowing Storage
  ) -> Double {
    distances.forward(x, into: squared, work)
    let sigma = width(squared, work)
    let factor = kernel.factor(sigma)
    let isPlain = kernel.shape == .plain
    for i in 0..<k.rows {
      for j in i + 1..<max(k.rows, i + 1) {
        let distance = isPlain ? squared[i, j].squareRoot() : squared[i, j]
        let similarity = sigma == 0 ? (distance == 0 ? 1 : 0) : exp(-factor * distance)
        k[i, j] = similarity
        k[j, i] = similarity
      }
      k[i, i] = 1
    }
    return sigma
  }

  /// Adds `scale` times the gradient of the samples to dx, for a loss with the derivative g by the
  /// similarities.
  ///
  /// x, dx [N, d]; g, k, squared [N, N], of which g is symmetric and overwritten. The width counts as a
  /// constant unless `throughWidth`. σ must be positive.
  func backward(
    _ g: DoubleMatrix, similarities k: DoubleMatrix, squared: DoubleMatrix, _ x: Matrix, sigma: Double,
    throughWidth: Bool, adding dx: Matrix, scale: Double, _ work: borrowing Storage
  ) {
    precondition(sigma > 0, "the gradient at a width of \(sigma)")
    // W = g ⊙ k;  v = -4 c W, or of the plain shape -2 c W / r
    let factor = kernel.factor(sigma)
    let byWidth = throughWidth && neighbours != nil
    g.combine(k) { $0 * $1 }
    // Σ W r², from which follows the derivative by σ
    let moment = byWidth ? g.inner(squared) : 0
    if kernel.shape == .plain {
      g.combine(squared) { $1 > 0 ? -2 * factor * $0 / $1.squareRoot() : 0 }
    } else {
      g.map { -4 * factor * $0 }
    }
    if byWidth {
      addWidthGradient(
        moment / (kernel.shape == .dib ? sigma * sigma : sigma * sigma * sigma), to: g, squared, work)
    }
    distances.backward(g, x, adding: dx, scale: scale, work)
  }

  /// v_ij += derivative (M_ij + M_ji) / (N k r_ij), where M_ij is 1 if the distance to j is in the width of
  /// i; distances of 0 have no gradient.
  private func addWidthGradient(
    _ derivative: Double, to v: DoubleMatrix, _ squared: DoubleMatrix, _ work: borrowing Storage
  ) {
    guard let neighbours else { return }
    let indices = work[neighbours]
    let scale = derivative / Double(indices.count)
    for i in 0..<indices.rows {
      for n in 0..<indices.columns {
        let j = Int(indices[i, n])
        guard squared[i, j] > 0 else { continue }
        let value = scale / squared[i, j].squareRoot()
        v[i, j] += value
        v[j, i] += value
      }
    }
  }

  /// Returns σ; 0 if all distances in it are 0, or if there is no other sample.
  private func width(_ squared: DoubleMatrix, _ work: borrowing Storage) -> Double {
    if case .fixed(let sigma) = kernel.width { return sigma }
    guard let neighbours else { return 0 }
    let indices = work[neighbours]
    var total = 0.0
    for i in 0..<indices.rows {
      if case .nearest = kernel.width {
        Self.selectNearest(i, squared.row(i), count: squared.columns, indices.row(i), indices.columns)
      } else {
        for n in 0..<indices.columns { indices[i, n] = Float(n) }
      }
      var sum = 0.0
      for n in 0..<indices.columns { sum += squared[i, Int(indices[i, n])].squareRoot() }
      total += sum
    }
    return total / Double(indices.count)
  }

  /// Writes the indices of the `size` smallest distances except the own one, in ascending order of distance.
  /// Of equal distances, the lower index is first.
  private static func selectNearest(
    _ own: Int, _ squared: UnsafePointer<Double>, count: Int, _ nearest: UnsafeMutablePointer<Float>,
    _ size: Int
  ) {
    var found = 0
    for j in 0..<count where j != own {
      let distance = squared[j]
      var place = found
      if found == size {
        guard distance < squared[Int(nearest[size - 1])] else { continue }
        place = size - 1
      } else {
        found += 1
      }
      while place > 0 && distance < squared[Int(nearest[place - 1])] {
        nearest[place] = nearest[place - 1]
        place -= 1
      }
      nearest[place] = Float(j)
    }
  }
}
