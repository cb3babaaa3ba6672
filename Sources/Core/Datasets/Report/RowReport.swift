import Support

/// A summary of rows of numbers. The names are those of `fedclient check --json`.
package struct RowReport: Sendable, Codable {
  /// The values of a column.
  package struct Column: Sendable, Codable, Hashable {
    /// The name in the source, or the number of the column, from 0.
    package let name: String
    package let min, max, mean: Double
    /// The standard deviation, with a divisor of m.
    package let deviation: Double
  }

  /// The number of rows.
  package let rows: Int
  /// The columns in order.
  package let inputs, targets: [Column]

  package init(_ set: FeatureRows) {
    rows = set.count
    inputs = (0..<set.inputCount).map { column in
      Self.column(set.inputNames?[column] ?? "\(column)", set.count) { set.inputs(of: $0)[at: column] }
    }
    targets = (0..<set.targetCount).map { column in
      Self.column(set.targetNames?[column] ?? "\(column)", set.count) { set.targets(of: $0)[at: column] }
    }
  }

  private static func column(_ name: String, _ count: Int, _ value: (Int) -> Double) -> Column {
    var (least, most, mean, square) = (Double.infinity, -Double.infinity, 0.0, 0.0)
    for row in 0..<count {
      let value = value(row)
      (least, most) = (min(least, value), max(most, value))
      // Welford's recurrence, which does not cancel.
      let distance = value - mean
      mean += distance / Double(row + 1)
      square += distance * (value - mean)
    }
    return Column(
      name: Spelling.harmless(name), min: least, max: most, mean: mean,
      deviation: (square / Double(max(count, 1))).squareRoot())
  }
}

extension ArraySlice {
  /// The element at a place of the slice.
  fileprivate subscript(at place: Int) -> Element { self[startIndex + place] }
}
