/// How different the representations of a graph's nodes are: 0 if all point in the same direction, √2 if they are
/// orthogonal. Deep graph networks tend to make them alike (over-smoothing).
package enum Smoothness {
  /// The largest number of rows that are compared.
  package static let sample = 1000

  /// Returns the mean Euclidean distance over all pairs of distinct rows, scaled to length 1; a row of zeros remains.
  /// Of more than ``sample`` rows, a sample that depends only on their number; 0 for fewer than two rows.
  ///                                                                                                        x [N, D]
  package static func distance(_ x: Matrix, _ workers: Workers) -> Double {
    var rows = Array(0..<x.rows)
    if rows.count > sample {
      var random = RandomNumbers(0, "smoothness", x.rows)
      rows = Array(rows.shuffled(using: &random).prefix(sample)).sorted()
    }
    guard rows.count > 1 else { return 0 }
    var layout = Layout(alignment: 16)
    let (slot, lengths) = (layout.add("rows", rows.count, x.columns), layout.add("lengths", rows.count))
    let work = Storage(layout)
    let u = work[slot]
    for (index, row) in rows.enumerated() { u.row(index).update(from: x.row(row), count: x.columns) }
    UnitRows.forward(u, into: u, lengths: work[lengths])
    let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: rows.count)
    sums.initialize(repeating: 0)
    defer { sums.deallocate() }
    workers.run(rows.count) { row, _ in
      for other in row + 1..<rows.count { sums[row] += distance(u.row(row), u.row(other), count: u.columns) }
    }
    return sums.reduce(0, +) / Double(rows.count * (rows.count - 1) / 2)
  }

  /// Returns the distance of two rows. The differences are summed, not products, which would lose the digits of close
  /// rows.
  private static func distance(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int
  ) -> Double {
    var sum = 0.0
    for index in 0..<count {
      let difference = Double(a[index]) - Double(b[index])
      sum += difference * difference
    }
    return sum.squareRoot()
  }
}
