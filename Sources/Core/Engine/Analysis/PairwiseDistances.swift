/// The squared distances of samples, in float64 from float32 rows, and their backward pass.
///
/// N samples [N, d]. The rows are converted in panels of columns, so that little memory is needed for wide
/// samples.
struct PairwiseDistances: Sendable {
  /// The columns converted at a time [N, W], and the product with them in the backward pass.
  private let panel, product: DoubleSlot

  private static let panelWidth = 256

  /// Adds the memory for samples of `columns` columns to a layout. A backward pass is for samples of at most
  /// `differentiated` columns.
  init(samples: Int, columns: Int, differentiated: Int = 0, in layout: inout Layout) {
    panel = layout.addDoubles("panel", samples, min(columns, Self.panelWidth))
    product = layout.addDoubles("panel product", samples, min(differentiated, Self.panelWidth))
  }

  /// Writes |x_i - x_j|².                                 x [N, d], d [N, N]
  ///
  /// They are |x_i|² + |x_j|² - 2 x_i·x_j, or sums of squared differences for close samples, so that those of
  /// equal samples are 0.
  func forward(_ x: Matrix, into d: DoubleMatrix, _ work: borrowing Storage) {
    let panel = work[panel]
    precondition(
      x.rows == panel.rows && d.rows == x.rows && d.columns == x.rows,
      "\(x.rows) samples for \(panel.rows), into \(d.rows) x \(d.columns)")
    if x.columns == 0 { d.map { _ in 0 } }
    Self.forPanels(of: x, panel) { columns, part in
      part.copy(x.columns(columns))
      DoubleProducts.addRowProducts(part, to: d, keep: columns.lowerBound == 0 ? 0 : 1)
    }
    for i in 0..<d.rows {
      let own = d[i, i]
      for j in i + 1..<max(d.rows, i + 1) {
        let squares = own + d[j, j]
        var distance = squares - 2 * d[i, j]
        if distance < Self.close * squares { distance = Self.difference(x, i, j) }
        d[i, j] = distance
        d[j, i] = distance
      }
      d[i, i] = 0
    }
  }

  /// dx_i += scale Σ_j v_ij (x_i - x_j).                  x, dx [N, d], v [N, N]
  ///
  /// v is four times the derivative of a loss by the squared distances, if the loss has both orders of each
  /// pair. The diagonal of v is ignored and overwritten.
  func backward(
    _ v: DoubleMatrix, _ x: Matrix, adding dx: Matrix, scale: Double, _ work: borrowing Storage
  ) {
    let (panel, results) = (work[panel], work[product])
    precondition(
      x.rows == panel.rows && v.rows == x.rows && v.columns == x.rows && dx.rows == x.rows
        && dx.columns == x.columns, "\(x.rows) x \(x.columns) samples for \(panel.rows)")
    for i in 0..<v.rows {
      v[i, i] = 0
      let row = v.row(i)
      var sum = 0.0
      for j in 0..<v.columns { sum += row[j] }
      v[i, i] = -sum
    }
    Self.forPanels(of: x, panel) { columns, part in
      let result = results.narrowed(to: columns.count)
      part.copy(x.columns(columns))
      DoubleProducts.product(v, part, into: result, scale: -scale)
      for i in 0..<x.rows {
        let (from, to) = (result.row(i), dx.row(i) + columns.lowerBound)
        for c in 0..<columns.count { to[c] += Float(from[c]) }
      }
    }
  }

  /// Calls `body` for consecutive columns of x, with as much of `panel` as they need.
  private static func forPanels(
    of x: Matrix, _ panel: DoubleMatrix, _ body: (Range<Int>, DoubleMatrix) -> Void
  ) {
    var start = 0
    while start < x.columns {
      let end = min(start + panel.columns, x.columns)
      body(start..<end, panel.narrowed(to: end - start))
      start = end
    }
  }

  /// Squared distances below this part of |x_i|² + |x_j|² have lost too many digits to the subtraction.
  private static let close = 1e-6

  /// Returns the sum of the squared differences of two rows.
  private static func difference(_ x: Matrix, _ i: Int, _ j: Int) -> Double {
    let (a, b) = (x.row(i), x.row(j))
    var sums = SIMD4<Double>.zero
    var rest = 0.0
    var c = 0
    while c + 4 <= x.columns {
      let u = SIMD4(Double(a[c]), Double(a[c + 1]), Double(a[c + 2]), Double(a[c + 3]))
      let v = SIMD4(Double(b[c]), Double(b[c + 1]), Double(b[c + 2]), Double(b[c + 3]))
      sums += (u - v) * (u - v)
      c += 4
    }
    while c < x.columns {
      let difference = Double(a[c]) - Double(b[c])
      rest += difference * difference
      c += 1
    }
    return sums.sum() + rest
  }
}
