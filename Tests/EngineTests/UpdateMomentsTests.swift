import Engine
import Testing

@Suite struct UpdateMomentsTests {
  @Test(arguments: [1, 7, 8, 9, 1000])
  func sumsAreThoseOfTheDefinition(count: Int) {
    var random = RandomNumbers(31, "moments", count)
    let (base, own, mean) = (
      (0..<count).map { _ in random.normal() }, (0..<count).map { _ in random.normal() },
      (0..<count).map { _ in random.normal() }
    )
    var moments = UpdateMoments()
    moments.add(own, mean: mean, base: base, count: count)
    let u = zip(own, base).map { Double($0) - Double($1) }
    let v = zip(mean, base).map { Double($0) - Double($1) }
    func close(_ value: Double, _ expected: Double) -> Bool {
      abs(value - expected) <= 1e-12 * max(abs(expected), 1)
    }
    #expect(close(moments.ownSquare, u.reduce(0) { $0 + $1 * $1 }))
    #expect(close(moments.meanSquare, v.reduce(0) { $0 + $1 * $1 }))
    #expect(close(moments.product, zip(u, v).reduce(0) { $0 + $1.0 * $1.1 }))
    #expect(close(moments.distance, zip(u, v).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()))
  }

  @Test func directionsHaveTheirCosine() {
    func cosine(_ own: [Float], _ mean: [Float]) -> Double? {
      var moments = UpdateMoments()
      moments.add(own, mean: mean, base: [Float](repeating: 0, count: own.count), count: own.count)
      return moments.cosine
    }
    #expect(cosine([1, 0], [5, 0]) == 1 && cosine([1, 0], [-2, 0]) == -1 && cosine([1, 0], [0, 1]) == 0)
    #expect(cosine([0, 0], [1, 1]) == nil && cosine([1, 1], [0, 0]) == nil)
  }
}
