/// The shape of a deep linear network f(X) = W_L … W_1 X.
package struct DeepLinearShape: Sendable, Hashable {
  /// n_0 … n_L: the inputs, the widths between the matrices, the outputs.
  package let widths: [Int]

  package init(widths: [Int]) {
    precondition(widths.count >= 2 && widths.allSatisfy { $0 > 0 }, "widths \(widths)")
    self.widths = widths
  }

  /// Creates the shape of `depth` matrices with one width between them.
  package init(inputs: Int, outputs: Int, width: Int, depth: Int) {
    precondition(depth >= 1, "depth \(depth)")
    self.init(widths: [inputs] + Array(repeating: width, count: depth - 1) + [outputs])
  }

  /// The number of matrices L.
  package var depth: Int { widths.count - 1 }
  package var inputs: Int { widths[0] }
  package var outputs: Int { widths[depth] }

  /// Returns the rows n_l and columns n_{l-1} of the matrix of a block; block l - 1 has W_l.
  package func matrix(_ block: Int) -> (rows: Int, columns: Int) { (widths[block + 1], widths[block]) }

  /// Returns the number of elements of the upper triangle of a block's B Bᵀ.
  package func packedMoments(_ block: Int) -> Int { widths[block] * (widths[block] + 1) / 2 }
}

/// A deep linear network in float64: f(X) = W_L … W_1 X, without biases (Shin, arXiv 1910.05874).
///
/// Block l - 1 has W_l [n_l, n_{l-1}]. With A = W_L … W_{l+1} and T = W_{l-1} … W_1, f(X) is A W_l T X. Both products are
/// kept and extended as blocks change, so a sweep of L updates takes L products of each.
package final class DeepLinearNetwork {
  package let shape: DeepLinearShape
  private let storage: Storage
  private let weights, productsAbove, productsBelow: [DoubleSlot]
  /// The products above are valid for this block and those above it, the products below for this one and those below it.
  private var (validAbove, validBelow): (Int, Int)

  /// Creates a network of zeros.
  package init(_ shape: DeepLinearShape) {
    self.shape = shape
    var layout = Layout(alignment: 16)
    let (inputs, outputs, depth) = (shape.inputs, shape.outputs, shape.depth)
    weights = (0..<depth).map { block in
      let (rows, columns) = shape.matrix(block)
      return layout.addDoubles("weight", rows, columns)
    }
    productsAbove = (0..<depth - 1).map { layout.addDoubles("above", outputs, shape.widths[$0 + 1]) }
    productsBelow = (1..<max(depth, 1)).map { layout.addDoubles("below", shape.widths[$0], inputs) }
    storage = Storage(layout)
    (validAbove, validBelow) = (depth - 1, 0)
  }

  /// Returns W_l [n_l, n_{l-1}] of a block in order of the rows.
  package func weight(_ block: Int) -> [Double] { matrix(block).array() }

  /// Sets W_l of a block.
  package func setWeight(_ block: Int, _ values: [Double]) {
    matrix(block).set(values)
    noteChange(of: block)
  }

  private func matrix(_ block: Int) -> DoubleMatrix { storage[weights[block]] }

  private func noteChange(of block: Int) {
    validAbove = max(validAbove, block)
    validBelow = min(validBelow, block)
  }

  /// Returns A [n_L, n_l] of a block; nil for the identity above the last one.
  private func above(_ block: Int) -> DoubleMatrix? {
    guard block < shape.depth - 1 else { return nil }
    while validAbove > block {
      let product = storage[productsAbove[validAbove - 1]]
      if let last = above(validAbove) {
        DoubleProducts.product(last, matrix(validAbove), into: product)
      } else {
        product.copy(matrix(validAbove))
      }
      validAbove -= 1
    }
    return storage[productsAbove[block]]
  }

  /// Returns T [n_{l-1}, n_0] of a block; nil for the identity below the first one.
  private func below(_ block: Int) -> DoubleMatrix? {
    guard block > 0 else { return nil }
    while validBelow < block {
      let product = storage[productsBelow[validBelow]]
      if let last = below(validBelow) {
        DoubleProducts.product(matrix(validBelow), last, into: product)
      } else {
        product.copy(matrix(validBelow))
      }
      validBelow += 1
    }
    return storage[productsBelow[block - 1]]
  }

  /// Returns the map W_L … W_1 [n_L, n_0].
  package func map() -> DoubleBox { map(through: validBelow, matrix(validBelow)) }

  /// Returns A V T [n_L, n_0] for a matrix V in the place of a block's.
  private func map(through block: Int, _ matrix: DoubleMatrix) -> DoubleBox {
    let result = DoubleBox(shape.outputs, shape.inputs)
    let high = applyingAbove(block, to: matrix)
    if let low = below(block) {
      DoubleProducts.product(high.matrix, low, into: result.matrix)
    } else {
      result.matrix.copy(high.matrix)
    }
    return result
  }

  /// Returns A V [n_L, n_{l-1}].
  private func applyingAbove(_ block: Int, to matrix: DoubleMatrix) -> DoubleBox {
    let result = DoubleBox(shape.outputs, matrix.columns)
    if let high = above(block) {
      DoubleProducts.product(high, matrix, into: result.matrix)
    } else {
      result.matrix.copy(matrix)
    }
    return result
  }
}

// MARK: - The exact step of a block

extension DeepLinearNetwork {
  /// Returns ½ ‖f(X) - Y‖² for these rows, and writes G = Aᵀ (f(X) - Y) Bᵀ [n_l, n_{l-1}] of a block, B = T X.
  package func gradient(of block: Int, _ rows: RowStatistics, into gradient: DoubleMatrix) -> Double {
    require(rows)
    let residuals = DoubleBox(shape.outputs, shape.inputs)
    let map = map(through: block, matrix(block))
    let loss = rows.residuals(of: map.matrix, into: residuals.matrix)
    // R Bᵀ = (R Xᵀ) Tᵀ
    let inner = DoubleBox(shape.outputs, shape.matrix(block).columns)
    if let low = below(block) {
      DoubleProducts.product(residuals.matrix, low, into: inner.matrix, transposed: .b)
    } else {
      inner.matrix.copy(residuals.matrix)
    }
    if let high = above(block) {
      DoubleProducts.product(high, inner.matrix, into: gradient, transposed: .a)
    } else {
      gradient.copy(inner.matrix)
    }
    return loss
  }

  /// Writes B Bᵀ [n_{l-1}, n_{l-1}] of a block for these rows, T X Xᵀ Tᵀ.
  package func moments(of block: Int, _ rows: RowStatistics, into moments: DoubleMatrix) {
    require(rows)
    guard let low = below(block) else { return rows.moments(into: moments) }
    let inputs = DoubleBox(low.columns, low.columns)
    let half = DoubleBox(low.rows, low.columns)
    rows.moments(into: inputs.matrix)
    DoubleProducts.product(low, inputs.matrix, into: half.matrix)
    DoubleProducts.product(half.matrix, low, into: moments, transposed: .b)
  }

  /// Returns ‖A G B‖² of a block for these rows.
  package func curvature(of block: Int, along gradient: DoubleMatrix, _ rows: RowStatistics) -> Double {
    require(rows)
    let map = map(through: block, gradient)
    return rows.squaredNorm(of: map.matrix)
  }

  /// Returns ‖A G B‖² = tr((A G) B Bᵀ (A G)ᵀ) of a block for the rows whose second moments B Bᵀ are given.
  package func curvature(of block: Int, along gradient: DoubleMatrix, moments: DoubleMatrix) -> Double {
    let high = applyingAbove(block, to: gradient)
    let product = DoubleBox(high.matrix.rows, high.matrix.columns)
    DoubleProducts.product(high.matrix, moments, into: product.matrix)
    return product.matrix.inner(high.matrix)
  }

  /// Updates a block by the exact rate, W_l <- W_l - η G with η = ‖G‖² / ‖A G B‖², which minimises the loss along -G; the
  /// loss falls by ½ ‖G‖⁴ / ‖A G B‖² (arXiv 1910.05874). If ‖A G B‖² = 0, no rate changes the loss, and η is 0; likewise
  /// for a number below 0, which is no squared norm. Returns η.
  @discardableResult
  package func step(_ block: Int, along gradient: DoubleMatrix, curvature: Double) -> Double {
    let rate = curvature > 0 ? gradient.inner(gradient) / curvature : 0
    matrix(block).combine(gradient) { $0 - rate * $1 }
    noteChange(of: block)
    return rate
  }

  private func require(_ rows: RowStatistics) {
    precondition(
      rows.inputs == shape.inputs && rows.targets == shape.outputs,
      "rows of \(rows.inputs) inputs and \(rows.targets) targets for \(shape.widths)")
  }
}

/// The order in which a sweep updates the matrices of a deep linear network.
package enum SweepOrder: String, Sendable, Codable, CaseIterable {
  /// From W_1 to W_L.
  case ascending
  /// From W_L to W_1.
  case descending

  /// Returns the blocks of a network in the order of their updates.
  package func blocks(_ depth: Int) -> [Int] {
    self == .ascending ? Array(0..<depth) : (0..<depth).reversed()
  }
}

extension DeepLinearNetwork {
  /// Updates every matrix once by its exact rate. Returns the loss before each update, and the rates.
  @discardableResult
  package func sweep(
    _ order: SweepOrder = .ascending, on rows: RowStatistics
  ) -> (losses: [Double], rates: [Double]) {
    var (losses, rates): ([Double], [Double]) = ([], [])
    for block in order.blocks(shape.depth) {
      let (height, width) = shape.matrix(block)
      let gradient = DoubleBox(height, width)
      losses.append(self.gradient(of: block, rows, into: gradient.matrix))
      let curvature = curvature(of: block, along: gradient.matrix, rows)
      rates.append(step(block, along: gradient.matrix, curvature: curvature))
    }
    return (losses, rates)
  }

  /// Returns ½ ‖f(X) - Y‖² for these rows.
  package func loss(_ rows: RowStatistics) -> Double {
    let gradient = DoubleBox(shape.outputs, shape.inputs)
    let map = map()
    return rows.residuals(of: map.matrix, into: gradient.matrix)
  }
}

// MARK: - Initial weights

/// The distribution of the initial matrices of a deep linear network.
package enum DeepLinearStart: String, Sendable, Codable, CaseIterable {
  /// A corner of a random orthogonal matrix of size max(n_l, n_{l-1}), so that rows or columns are orthonormal.
  case orthogonal
  /// Independent normal numbers of variance 1 / n_{l-1}.
  case gaussian

  /// Fills W_l [n_l, n_{l-1}].
  package func fill(_ weight: DoubleMatrix, _ random: inout RandomNumbers) {
    switch self {
    case .gaussian:
      let deviation = 1 / Double(weight.columns).squareRoot()
      weight.map { _ in deviation * random.doubleNormal() }
    case .orthogonal:
      // The first columns of Q depend only on those of the Gaussian matrix, and Qᵀ is distributed as Q.
      let isTall = weight.rows >= weight.columns
      let q = DoubleBox(max(weight.rows, weight.columns), min(weight.rows, weight.columns))
      q.matrix.map { _ in random.doubleNormal() }
      DoubleProducts.orthonormalise(q.matrix)
      for row in 0..<weight.rows {
        for column in 0..<weight.columns {
          weight[row, column] = isTall ? q.matrix[row, column] : q.matrix[column, row]
        }
      }
    }
  }
}

extension DeepLinearNetwork {
  /// Draws all matrices. Each has a random stream of its own, so that W_l does not depend on the depth.
  package func draw(_ start: DeepLinearStart, seed: UInt64) {
    for block in 0..<shape.depth {
      var random = RandomNumbers(seed, "deep linear", block)
      start.fill(matrix(block), &random)
      noteChange(of: block)
    }
  }
}
