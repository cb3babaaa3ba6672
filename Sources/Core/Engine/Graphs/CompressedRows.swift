/// Rows of which few values differ from 0, such as the propagated bags of words of a citation graph [n, F].
///
/// Products take as long as there are other values. They are with the transposed weights of a layer [F, H], of which
/// each value of a row needs a row.
package struct CompressedRows: Sendable {
  /// The number of values F of a row.
  package let width: Int
  /// The start of each row's entries [n + 1].
  private let starts: [Int]
  private let columns: [Int32]
  private let values: [Float]

  /// The largest share of values other than 0. From about here on, a product of complete rows is as fast.
  private static let share = 0.25

  package var count: Int { starts.count - 1 }

  /// Compresses rows, each of which `write(row, place)` adds to zeros, on any thread. Returns nil if some of them, evenly
  /// spaced, have too many values other than 0.
  init?(
    count: Int, width: Int, _ workers: Workers, write: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let sample = Self.compress(stride(from: 0, to: count, by: max(count / 64, 1)), width, write)
    guard Double(sample.columns.count) <= Self.share * Double(sample.ends.count * width) else { return nil }
    let part = 256
    let parts = try? workers.map((count + part - 1) / part) { task in
      Self.compress(task * part..<min((task + 1) * part, count), width, write)
    }
    var (starts, columns, values): ([Int], [Int32], [Float]) = ([0], [], [])
    starts.reserveCapacity(count + 1)
    let entries = (parts ?? []).reduce(0) { $0 + $1.columns.count }
    columns.reserveCapacity(entries)
    values.reserveCapacity(entries)
    for part in parts ?? [] {
      let start = columns.count
      for end in part.ends { starts.append(start + end) }
      columns += part.columns
      values += part.values
    }
    (self.width, self.starts, self.columns, self.values) = (width, starts, columns, values)
  }

  /// Returns the entries of some rows, and the end of each.
  private static func compress(
    _ rows: some Sequence<Int>, _ width: Int, _ write: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> (ends: [Int], columns: [Int32], values: [Float]) {
    let place = Storage(0..<width)
    let row = place.all.start
    var (ends, columns, values): ([Int], [Int32], [Float]) = ([], [], [])
    for index in rows {
      row.update(repeating: 0, count: width)
      write(index, row)
      for column in 0..<width where row[column] != 0 {
        columns.append(Int32(column))
        values.append(row[column])
      }
      ends.append(columns.count)
    }
    return (ends, columns, values)
  }

  /// Writes a row with its zeros.
  package func write(_ row: Int, into place: UnsafeMutablePointer<Float>) {
    place.update(repeating: 0, count: width)
    for entry in starts[row]..<starts[row + 1] { place[Int(columns[entry])] = values[entry] }
  }

  /// y_i = Σ_k z_k w_k, where z is the i-th of `rows`.                         w [F, H], y [rows, H]
  func product(_ rows: some RandomAccessCollection<Int>, _ w: Matrix, into y: Matrix) {
    precondition(w.rows == width && y.columns == w.columns && y.rows == rows.count, "\(y.rows) rows")
    forEach(rows) { index, entries, columns, values in
      let place = y.row(index)
      place.update(repeating: 0, count: y.columns)
      for entry in entries {
        Elementwise.add(w.row(Int(columns[entry])), to: place, count: y.columns, scale: values[entry])
      }
    }
  }

  /// dw_k += Σ_i z_k dy_i, where z is the i-th of `rows`.                      dy [rows, H], dw [F, H]
  func addProduct(_ rows: some RandomAccessCollection<Int>, _ dy: Matrix, to dw: Matrix) {
    precondition(dw.rows == width && dy.columns == dw.columns && dy.rows == rows.count, "\(dy.rows) rows")
    forEach(rows) { index, entries, columns, values in
      let gradient = dy.row(index)
      for entry in entries {
        Elementwise.add(gradient, to: dw.row(Int(columns[entry])), count: dy.columns, scale: values[entry])
      }
    }
  }

  /// Calls `body(i, entries of the i-th row, columns, values)` for some rows.
  @inline(__always)
  private func forEach(
    _ rows: some RandomAccessCollection<Int>,
    _ body: (Int, Range<Int>, UnsafeBufferPointer<Int32>, UnsafeBufferPointer<Float>) -> Void
  ) {
    columns.withUnsafeBufferPointer { columns in
      values.withUnsafeBufferPointer { values in
        for (index, row) in rows.enumerated() { body(index, starts[row]..<starts[row + 1], columns, values) }
      }
    }
  }
}
