/// The rows of a regression in float64: inputs with targets.
package protocol RegressionRows: Sendable {
  /// The number of rows m.
  var count: Int { get }
  /// The number of inputs n_0 of a row.
  var inputCount: Int { get }
  /// The number of targets n_L of a row.
  var targetCount: Int { get }
  /// Copies some rows: inputs [rows, n_0], targets [rows, n_L].
  func copy(_ rows: Range<Int>, inputs: DoubleMatrix, targets: DoubleMatrix)
}

/// The sums over a client's rows that training a linear map needs.
///
/// The columns of X [n_0, m] and Y [n_L, m] are the rows. They are read in chunks, so the memory does not depend on m.
/// Shards sum their own chunks in order, and their sums are added in order: the result does not depend on the number of
/// workers.
package final class RowStatistics {
  private let rows: any RegressionRows
  private let workers: Workers
  /// The elements of X Xᵀ if they have been computed.
  package private(set) var secondMoments: [Double]?
  /// Asked on the caller's thread, again and again in a pass over the rows; if it returns false, the pass ends early and
  /// its sums are of some rows only.
  package var goesOn: () -> Bool = { true }

  /// Creates the sums of some rows; `moments` are the elements of X Xᵀ if they are known.
  package init(_ rows: any RegressionRows, workers: Workers, moments: [Double]? = nil) {
    (self.rows, self.workers, secondMoments) = (rows, workers, moments)
  }

  /// The number of rows m.
  package var count: Int { rows.count }
  package var inputs: Int { rows.inputCount }
  package var targets: Int { rows.targetCount }

  /// The number of rows read at a time.
  private static let chunk = 256
  /// The number of chunks of a shard between two calls of ``goesOn``.
  private static let chunksAtOnce = 32
  /// The maximum number of sums that exist at a time, and the memory for those of the second moments in bytes.
  private static let (mostShards, shardBytes) = (8, 1 << 26)

  /// Returns ½ ‖M X - Y‖² for a map M [n_L, n_0], and writes its gradient R Xᵀ [n_L, n_0] with R = M X - Y.
  package func residuals(of map: DoubleMatrix, into gradient: DoubleMatrix) -> Double {
    let (square, _) = sum(into: gradient, shards: Self.mostShards) { x, y, sum in
      DoubleProducts.product(x, map, into: y, keep: -1, transposed: .b)
      DoubleProducts.product(y, x, into: sum, keep: 1, transposed: .a)
      return y.inner(y)
    }
    return square / 2
  }

  /// Returns ‖D X‖² for a map D [n_L, n_0].
  package func squaredNorm(of map: DoubleMatrix) -> Double {
    let nothing = DoubleBox(0, 0)
    return sum(into: nothing.matrix, shards: Self.mostShards) { x, y, _ in
      DoubleProducts.product(x, map, into: y, transposed: .b)
      return y.inner(y)
    }.number
  }

  /// Writes X Xᵀ [n_0, n_0], which is computed once.
  package func moments(into moments: DoubleMatrix) {
    if let secondMoments { return moments.set(secondMoments) }
    let bytes = max(moments.count * MemoryLayout<Double>.stride, 1)
    let (_, isWhole) = sum(into: moments, shards: max(Self.shardBytes / bytes, 1)) { x, _, sum in
      DoubleProducts.columnProducts(x, into: sum, scale: 1, keep: 1)
      return 0
    }
    if isWhole { secondMoments = moments.array() }
  }

  /// Returns a bound of the bytes that the sums of rows with these numbers of inputs and targets take.
  package static func memory(inputs: Int, targets: Int) -> Int {
    let moments = (inputs * inputs) * MemoryLayout<Double>.stride
    let chunks = mostShards * chunk * (inputs + targets) * MemoryLayout<Double>.stride
    let gradients = (mostShards + 1) * targets * inputs * MemoryLayout<Double>.stride
    return chunks + max(gradients + moments, moments + max(min(shardBytes, mostShards * moments), moments))
  }

  /// Writes the sum of the shards, and returns that of their numbers, and whether it is of all rows. `add(x, y, sum)` adds a chunk x [n, n_0], y [n, n_L]
  /// to a shard's sum, and returns a number.
  private func sum(
    into total: DoubleMatrix, shards most: Int, _ add: (DoubleMatrix, DoubleMatrix, DoubleMatrix) -> Double
  ) -> (number: Double, isWhole: Bool) {
    let chunks = (count + Self.chunk - 1) / Self.chunk
    let shards = min(most, Self.mostShards, chunks)
    let sums = DoubleBox(shards, total.count)
    let (longest, width) = (min(Self.chunk, count), inputs + targets)
    let work = DoubleBox(shards, longest * width)
    var numbers = [Double](repeating: 0, count: shards)
    var isWhole = true
    numbers.withUnsafeMutableBufferPointer { numbers in
      for first in stride(from: 0, to: chunks, by: max(shards, 1) * Self.chunksAtOnce) {
        isWhole = goesOn()
        guard isWhole else { return }
        let end = min(first + shards * Self.chunksAtOnce, chunks)
        workers.run(shards) { shard, _ in
          let sum = DoubleMatrix(sums.matrix.row(shard), rows: total.rows, columns: total.columns)
          for chunk in stride(from: first + shard, to: end, by: shards) {
            let range = chunk * Self.chunk..<min((chunk + 1) * Self.chunk, count)
            let x = DoubleMatrix(work.matrix.row(shard), rows: range.count, columns: inputs)
            let y = DoubleMatrix(x.start + longest * inputs, rows: range.count, columns: targets)
            rows.copy(range, inputs: x, targets: y)
            numbers[shard] += add(x, y, sum)
          }
        }
      }
    }
    total.map { _ in 0 }
    for shard in 0..<shards {
      total.combine(DoubleMatrix(sums.matrix.row(shard), rows: total.rows, columns: total.columns), +)
    }
    return (numbers.reduce(0, +), isWhole)
  }
}

extension RowStatistics {
  /// Returns the map [n_L, n_0] of least squares in order of the rows; nil if X Xᵀ is singular.
  package func leastSquares() -> [Double]? {
    let inverse = DoubleBox(inputs, inputs)
    moments(into: inverse.matrix)
    guard DoubleProducts.invert(inverse.matrix) else { return nil }
    let solution = DoubleBox(targets, inputs)
    let gradient = DoubleBox(targets, inputs)
    // The first step from 0 is the solution; further ones remove its rounding.
    for _ in 0..<3 {
      _ = residuals(of: solution.matrix, into: gradient.matrix)
      DoubleProducts.product(gradient.matrix, inverse.matrix, into: solution.matrix, scale: -1, keep: 1)
    }
    return solution.matrix.array()
  }
}
