/// An unowned, row-major view of floats: element (r, c) is `start[r * stride + c]`.
///
/// It is valid only as long as the storage it views, and it is not Sendable. The compiler does not distinguish reading
/// from writing through it; a function's signature shows what it writes (`into`, `adding`).
package struct Matrix {
  package let start: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  /// The distance between rows in floats; at least `columns`.
  package let stride: Int

  @inline(__always)
  package init(_ start: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    self.start = start
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
    assert(self.stride >= columns || rows <= 1)
  }

  package var count: Int { rows * columns }
  /// Whether the elements are contiguous, so that `start[0 ..< count]` is the matrix.
  package var isContiguous: Bool { stride == columns || rows <= 1 }

  @inline(__always)
  package subscript(row: Int, column: Int) -> Float {
    get {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      return start[row * stride + column]
    }
    nonmutating set {
      assert(row >= 0 && row < rows && column >= 0 && column < columns)
      start[row * stride + column] = newValue
    }
  }

  /// Returns a pointer to the first element of a row.
  @inline(__always)
  package func row(_ row: Int) -> UnsafeMutablePointer<Float> {
    assert(row >= 0 && row < rows)
    return start + row * stride
  }

  /// Returns the rows of a range, as a view of the same memory.
  @inline(__always)
  package func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
    return Matrix(start + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }

  /// Returns the columns of a range, as a view of the same memory.
  @inline(__always)
  package func columns(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
    return Matrix(start + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// Returns the same elements in another shape; the matrix must be contiguous.
  package func reshaped(_ rows: Int, _ columns: Int) -> Matrix {
    precondition(
      isContiguous && rows * columns == count, "\(self.rows) x \(self.columns) as \(rows) x \(columns)")
    return Matrix(start, rows: rows, columns: columns)
  }

  /// The elements of the contiguous matrix as a single row.
  package var flat: Matrix { reshaped(1, count) }

  /// Returns a copy of the elements in row-major order.
  package func array() -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      for r in 0..<rows { (buffer.baseAddress! + r * columns).initialize(from: row(r), count: columns) }
      initialized = count
    }
  }
}
