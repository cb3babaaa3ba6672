import Engine
import Testing

@Suite struct MatrixTests {
  /// Returns a matrix whose element (r, c) is 10 r + c.
  private static func numbered(_ storage: borrowing Storage, _ rows: Int, _ columns: Int) -> Matrix {
    let matrix = storage.all.reshaped(rows, columns)
    for r in 0..<rows { for c in 0..<columns { matrix[r, c] = Float(10 * r + c) } }
    return matrix
  }

  @Test func viewsShareTheirMemory() {
    let storage = Storage(0..<20)
    let matrix = Self.numbered(storage, 4, 5)
    let part = matrix.rows(1..<3).columns(2..<5)
    #expect(part.rows == 2 && part.columns == 3 && part.stride == 5)
    #expect(part.array() == [12, 13, 14, 22, 23, 24])
    part[1, 0] = -1
    #expect(matrix[2, 2] == -1)
    #expect(part.row(1) == matrix.start + 12)
    #expect(storage.all[0, 12] == -1)
  }

  @Test func isContiguousWhereElementsLieNextToEachOther() {
    let storage = Storage(0..<20)
    let matrix = Self.numbered(storage, 4, 5)
    #expect(matrix.isContiguous && matrix.rows(1..<3).isContiguous)
    #expect(!matrix.columns(0..<4).isContiguous && matrix.columns(0..<4).rows(2..<3).isContiguous)
    #expect(matrix.rows(1..<3).flat.array() == [10, 11, 12, 13, 14, 20, 21, 22, 23, 24])
    #expect(matrix.reshaped(2, 10).row(1) == matrix.row(2))
    #expect(matrix.rows(4..<4).array().isEmpty && matrix.columns(5..<5).array().isEmpty)
  }

  @Test func viewsOutsideTrap() async {
    await #expect(processExitsWith: .failure) { _ = Storage(0..<20).all.reshaped(4, 5).rows(2..<5) }
    await #expect(processExitsWith: .failure) { _ = Storage(0..<20).all.reshaped(4, 5).columns(-1..<2) }
    await #expect(processExitsWith: .failure) { _ = Storage(0..<20).all.reshaped(4, 6) }
  }

  @Test func aStridedViewHasNoOtherShape() async {
    await #expect(processExitsWith: .failure) {
      _ = Storage(0..<20).all.reshaped(4, 5).columns(0..<4).reshaped(2, 8)
    }
  }
}
