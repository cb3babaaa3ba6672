import Engine
import Foundation

/// Similarities of samples and their matrix-based Rényi entropies by the formulas, in Double.
struct ReferenceSimilarities {
  var matrix: [[Double]]
  private(set) var width: Double

  /// The similarities under the kernel of a bottleneck, with a width by its rule or with a fixed one.
  init(
    _ x: Matrix, _ kernel: RenyiBottleneck.Kernel = .gaussian, widths: RenyiBottleneck.Widths = .nearest,
    neighbours: Int = 10, fixed: Double? = nil
  ) {
    let distances = Self.distances(x)
    let count = distances.count
    let sums = distances.enumerated().map { own, row -> Double in
      let selected =
        widths == .first
        ? Array(row.prefix(neighbours))
        : Array(row.indices.filter { $0 != own }.map { row[$0] }.sorted().prefix(neighbours))
      return selected.reduce(0, +) / Double(selected.count)
    }
    let sigma = fixed ?? sums.reduce(0, +) / Double(count)
    width = sigma
    matrix = distances.map { row in
      row.map { exp(-$0 * $0 / (kernel == .dib ? sigma : 2 * sigma * sigma)) }
    }
  }

  /// The distances of all pairs of rows.
  static func distances(_ x: Matrix) -> [[Double]] {
    let rows = (0..<x.rows).map { x.rows($0..<$0 + 1).doubles }
    return rows.map { a in
      rows.map { b in zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot() }
    }
  }

  func entropy(_ alpha: Double) -> Double { Self.entropy(matrix, alpha) }

  func jointEntropy(_ other: Self, _ alpha: Double) -> Double {
    Self.entropy(zip(matrix, other.matrix).map { zip($0, $1).map { $0 * $1 } }, alpha)
  }

  func information(_ other: Self, _ alpha: Double) -> Double {
    entropy(alpha) + other.entropy(alpha) - jointEntropy(other, alpha)
  }

  private static func entropy(_ k: [[Double]], _ alpha: Double) -> Double {
    let values = eigenvalues(k.map { row in row.map { $0 / Double(k.count) } })
    return log2(values.reduce(0) { $0 + pow(max($1, 0), alpha) }) / (1 - alpha)
  }

  /// The eigenvalues of a symmetric matrix, by Jacobi rotations.
  private static func eigenvalues(_ matrix: [[Double]]) -> [Double] {
    var a = matrix
    for _ in 0..<30 {
      for p in a.indices {
        for q in a.indices.dropFirst(p + 1) where abs(a[p][q]) > 1e-18 {
          let angle = 0.5 * atan2(2 * a[p][q], a[q][q] - a[p][p])
          let (c, s) = (cos(angle), sin(angle))
          for i in a.indices { (a[i][p], a[i][q]) = (c * a[i][p] - s * a[i][q], s * a[i][p] + c * a[i][q]) }
          for i in a.indices { (a[p][i], a[q][i]) = (c * a[p][i] - s * a[q][i], s * a[p][i] + c * a[q][i]) }
        }
      }
    }
    return a.indices.map { a[$0][$0] }
  }
}
