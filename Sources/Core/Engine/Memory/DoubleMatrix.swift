/// A named range of a ``Layout`` for `rows` x `columns` doubles, row-major. A double takes the place of two
/// floats.
package struct DoubleSlot: Sendable, Hashable {
  fileprivate let floats: Slot
  package let rows: Int
  package let columns: Int
}

extension Layout {
  /// Adds a slot of doubles.
  package mutating func addDoubles(_ name: String, _ rows: Int, _ columns: Int) -> DoubleSlot {
    let floats = add(
      name, rows, 2 * columns, alignment: alignment.isMultiple(of: 2) ? alignment : 2 * alignment)
    return DoubleSlot(floats: floats, rows: rows, columns: columns)
  }
}

extension Storage {
  /// Views a slot's memory. Only a storage whose ranges start at even offsets aligns doubles; another one
  /// traps.
  @inline(__always)
  package subscript(_ slot: DoubleSlot) -> DoubleMatrix {
    let start = UnsafeMutableRawPointer(self[slot.floats].start)
    precondition(UInt(bitPattern: start) % 8 == 0, "doubles at a float's address")
    return DoubleMatrix(
      start.bindMemory(to: Double.self, capacity: slot.rows * slot.columns), rows: slot.rows,
      columns: slot.columns)
  }
}

/// An unowned, contiguous, row-major view of doubles: element (r, c) is `start[r * columns + c]`.
///
/// It has the lifetime of the storage it views, as a ``Matrix`` has.
package struct DoubleMatrix {
  package let start: UnsafeMutablePointer<Double>
  package let rows: Int
  package let columns: Int

  @inline(__always)
  package init(_ start: UnsafeMutablePointer<Double>, rows: Int, columns: Int) {
    (self.start, self.rows, self.columns) = (start, rows, columns)
  }

  package var count: Int { rows * columns }

  @inline(__always)
  package subscript(row: Int, column: Int) -> Double {
    get {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      return start[row * columns + column]
    }
    nonmutating set {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      start[row * columns + column] = newValue
    }
  }

  /// Returns a pointer to the first element of a row.
  @inline(__always)
  package func row(_ row: Int) -> UnsafeMutablePointer<Double> {
    assert(row >= 0 && row < rows)
    return start + row * columns
  }

  /// Returns the first elements of the memory as a matrix with the same rows and fewer columns.
  func narrowed(to columns: Int) -> DoubleMatrix {
    precondition(columns <= self.columns, "\(columns) of \(self.columns) columns")
    return DoubleMatrix(start, rows: rows, columns: columns)
  }

  /// Returns the elements in order of the rows.
  package func array() -> [Double] { Array(UnsafeBufferPointer(start: start, count: count)) }

  /// Sets the elements in order of the rows.
  package func set(_ values: [Double]) {
    precondition(values.count == count, "\(values.count) values for \(rows) x \(columns)")
    for index in 0..<count { start[index] = values[index] }
  }

  /// Copies the elements of a matrix of the same shape.
  package func copy(_ other: DoubleMatrix) {
    precondition(rows == other.rows && columns == other.columns)
    start.update(from: other.start, count: count)
  }

  /// Copies the elements of a matrix of the same shape.
  package func copy(_ other: Matrix) {
    precondition(rows == other.rows && columns == other.columns)
    for r in 0..<rows {
      let (to, from) = (row(r), other.row(r))
      for c in 0..<columns { to[c] = Double(from[c]) }
    }
  }

  /// Replaces each element x with `body(x)`.
  @inline(__always)
  func map(_ body: (Double) -> Double) {
    for index in 0..<count { start[index] = body(start[index]) }
  }

  /// Replaces each element x with `body(x, y)`, where y is the element of `other` at the same place.
  @inline(__always)
  func combine(_ other: DoubleMatrix, _ body: (Double, Double) -> Double) {
    precondition(rows == other.rows && columns == other.columns)
    for index in 0..<count { start[index] = body(start[index], other.start[index]) }
  }

  /// Copies the upper triangle of a square matrix to the lower one.
  func mirror() {
    precondition(rows == columns, "\(rows) x \(columns)")
    for r in 0..<rows {
      for c in r + 1..<max(columns, r + 1) { self[c, r] = self[r, c] }
    }
  }

  /// Returns Σ self ⊙ other, summed by rows.
  func inner(_ other: DoubleMatrix) -> Double {
    precondition(rows == other.rows && columns == other.columns)
    var total = 0.0
    for r in 0..<rows {
      let (x, y) = (row(r), other.row(r))
      var sum = 0.0
      for c in 0..<columns { sum += x[c] * y[c] }
      total += sum
    }
    return total
  }
}

/// A matrix of doubles with memory of its own, zeros at first.
package struct DoubleBox: ~Copyable {
  package let matrix: DoubleMatrix
  private let storage: Storage

  package init(_ rows: Int, _ columns: Int) {
    var layout = Layout(alignment: 16)
    let slot = layout.addDoubles("matrix", rows, columns)
    storage = Storage(layout)
    matrix = storage[slot]
  }
}
