import Foundation

/// The matrix-based Rényi entropy of similarities K [N, N] with a diagonal of ones (DIB, arXiv 2102.00533):
///
/// S_α(A) = log2(Σ λ^α) / (1 - α), where λ are the eigenvalues of A = K / N. It is 0 if all samples are
/// equal, and log2 N if none is similar to another.
struct RenyiEntropy: Sendable {
  let alpha: Double
  /// Unused if α = 2, where Σ λ² = Σ A_ij².
  private let eigenproblem: (SymmetricEigenproblem, vectors: DoubleSlot)?

  /// Adds the memory for N = `samples` to a layout.
  init(alpha: Double, samples: Int, in layout: inout Layout) {
    precondition(alpha > 1 && alpha.isFinite, "a Rényi entropy of order \(alpha)")
    self.alpha = alpha
    eigenproblem =
      alpha == 2
      ? nil
      : (
        SymmetricEigenproblem(size: samples, in: &layout),
        layout.addDoubles("eigenvectors", samples, samples)
      )
  }

  /// Returns the entropy in bits and writes its derivative by K, whose diagonal is constant, to `gradient`
  /// [N, N], which may be `k`. NaN, without a derivative, if an element of `k` is not finite.
  func value(_ k: DoubleMatrix, gradient: DoubleMatrix? = nil, _ work: borrowing Storage) -> Double {
    let squares = k.inner(k)
    guard squares.isFinite else { return .nan }
    guard let (eigenproblem, vectors) = eigenproblem else {
      // Σ λ² = Σ K_ij² / N²
      if let gradient {
        let scale = -2 / (M_LN2 * squares)
        if gradient.start != k.start { gradient.copy(k) }
        gradient.map { scale * $0 }
      }
      return 2 * log2(Double(k.rows)) - log2(squares)
    }
    let (matrix, count) = (work[vectors], Double(k.rows))
    matrix.copy(k)
    matrix.map { $0 / count }
    guard let values = eigenproblem.solve(matrix, vectors: gradient != nil, work) else { return .nan }
    var sum = 0.0
    for i in 0..<k.rows where values[0, i] > 0 { sum += pow(values[0, i], alpha) }
    if let gradient {
      // V diag(λ^(α - 1)) Vᵀ, with the square roots of the factors in the vectors
      for i in 0..<k.rows {
        let root = values[0, i] > 0 ? pow(values[0, i], (alpha - 1) / 2) : 0
        let vector = matrix.row(i)
        for j in 0..<k.rows { vector[j] *= root }
      }
      DoubleProducts.columnProducts(
        matrix, into: gradient, scale: alpha / ((1 - alpha) * M_LN2 * sum * count))
    }
    return log2(sum) / (1 - alpha)
  }
}
