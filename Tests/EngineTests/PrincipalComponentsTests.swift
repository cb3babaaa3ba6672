import Engine
import Testing

@Suite struct PrincipalComponentsTests {
  private func components(_ rows: [[Float]]) throws -> PrincipalComponents {
    let boxed = StorageBoxed(rows.count, rows.first?.count ?? 0)
    boxed.matrix.set(rows.flatMap(\.self))
    return try #require(PrincipalComponents(boxed.matrix))
  }

  private func close(_ a: [SIMD2<Double>], _ b: [SIMD2<Double>]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0.x - $1.x) < 1e-9 && abs($0.y - $1.y) < 1e-9 }
  }

  /// A rectangle whose sides of 8 and 2 lie on two axes of three, far from the origin.
  @Test func aRectangleHasItsSides() throws {
    let found = try components([[7, 101, 5], [7, 109, 5], [9, 101, 5], [9, 109, 5]])
    // The first of the equal magnitudes is positive.
    #expect(close(found.points, [[4, 1], [-4, 1], [4, -1], [-4, -1]]), "\(found)")
    #expect(abs(found.explained.x - 16.0 / 17) < 1e-12 && abs(found.explained.y - 1.0 / 17) < 1e-12)
  }

  @Test func aLineHasOneDirection() throws {
    let found = try components((0..<5).map { [3 * Float($0), -4 * Float($0)] })
    #expect(close(found.points, [[10, 0], [5, 0], [0, 0], [-5, 0], [-10, 0]]), "\(found)")
    #expect(abs(found.explained.x - 1) < 1e-12 && found.explained.y == 0)
    #expect(close(try components([[1], [4]]).points, [[1.5, 0], [-1.5, 0]]))
  }

  @Test func whatDoesNotVaryHasNoDirection() throws {
    let equal = try components(Array(repeating: [0.1, 0.7, -1e6], count: 9))
    #expect(equal.points.allSatisfy { $0 == .zero } && equal.explained == .zero)
    #expect(try components([[5, 6]]).points == [.zero])
  }

  /// More columns than samples, and fewer: the coordinates are uncorrelated, with the shares as variances.
  @Test(arguments: [(20, 6), (6, 300)]) func coordinatesAreUncorrelated(rows: Int, columns: Int) throws {
    let boxed = StorageBoxed(rows, columns)
    var random = RandomNumbers(261, "samples", rows)
    boxed.matrix.draw(&random)
    let found = try #require(PrincipalComponents(boxed.matrix))
    var total = 0.0
    for column in 0..<columns {
      let values = (0..<rows).map { Double(boxed.matrix[$0, column]) }
      let mean = values.reduce(0, +) / Double(rows)
      total += values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    }
    let moments = found.points.reduce((x: 0.0, y: 0.0, xy: 0.0)) {
      ($0.x + $1.x * $1.x, $0.y + $1.y * $1.y, $0.xy + $1.x * $1.y)
    }
    #expect(abs(moments.xy) < 1e-9 * total, "seed 261")
    #expect(abs(moments.x / total - found.explained.x) < 1e-9)
    #expect(abs(moments.y / total - found.explained.y) < 1e-9)
    #expect(found.explained.x >= found.explained.y && found.explained.y > 0)
    #expect(try #require(PrincipalComponents(boxed.matrix)) == found)
  }

  @Test func whatIsNotANumberHasNone() {
    let boxed = StorageBoxed(3, 2)
    boxed.matrix.set([1, 2, 3, .infinity, 5, 6])
    #expect(PrincipalComponents(boxed.matrix) == nil)
  }
}
