import Engine
import Testing

@Suite struct ProductsTests {
  /// Returns the error of one of the four products, on views with different strides, relative to sums in Double.
  private func error(_ m: Int, _ k: Int, _ n: Int, _ transposed: (Bool, Bool), keep: Float) -> Double {
    var layout = Layout()
    let a = layout.add("a", transposed.0 ? k : m, (transposed.0 ? m : k) + 3)
    let b = layout.add("b", transposed.1 ? n : k, (transposed.1 ? k : n) + 1)
    let c = layout.add("c", m, n + 2)
    let bench = Bench(Layout(), work: layout, seed: 161)
    let x = bench[a].columns(1..<bench[a].columns - 2)
    let y = bench[b].columns(1..<bench[b].columns)
    let z = bench[c].columns(1..<n + 1)
    let outside = bench[c].columns(0..<1).bits + bench[c].columns(n + 1..<n + 2).bits
    if keep == 0 { Elementwise.fill(z, .nan) }
    let before = z.doubles
    let scale: Float = 0.3
    switch transposed {
    case (false, false): Products.product(x, y, into: z, scale: scale, keep: keep)
    case (true, false): Products.product(x.transposed, y, into: z, scale: scale, keep: keep)
    case (false, true): Products.product(x, y.transposed, into: z, scale: scale, keep: keep)
    case (true, true): Products.product(x.transposed, y.transposed, into: z, scale: scale, keep: keep)
    }
    #expect(bench[c].columns(0..<1).bits + bench[c].columns(n + 1..<n + 2).bits == outside, "seed 161")
    var largest = 0.0
    for i in 0..<m {
      for j in 0..<n {
        var sum = 0.0
        for l in 0..<k {
          sum += Double(transposed.0 ? x[l, i] : x[i, l]) * Double(transposed.1 ? y[j, l] : y[l, j])
        }
        let expected = Double(scale) * sum + (keep == 1 ? before[i * n + j] : 0)
        largest = max(largest, abs(Double(z[i, j]) - expected))
      }
    }
    return largest
  }

  @Test(arguments: [[1, 1, 1], [5, 7, 3], [1, 16, 9], [33, 20, 17], [65, 64, 65]])
  func matchesSumsOfProducts(sizes: [Int]) {
    for transposed in [(false, false), (true, false), (false, true), (true, true)] {
      for keep: Float in [0, 1] {
        let error = error(sizes[0], sizes[1], sizes[2], transposed, keep: keep)
        #expect(error < 1e-5, "\(sizes), \(transposed), keep \(keep), seed 161")
      }
    }
  }

  @Test func nothingTimesNothingIsNothing() {
    let storage = Storage(0..<6)
    let (empty, full) = (storage.all.reshaped(2, 3).rows(0..<0), storage.all.reshaped(2, 3))
    Products.product(empty, full.transposed, into: storage.all.reshaped(3, 2).rows(0..<0))
    #expect(storage.all.array() == Array(repeating: 0, count: 6))
  }

  @Test func shapesThatDoNotFitTrap() async {
    await #expect(processExitsWith: .failure) {
      let a = Storage(0..<6)
      let c = Storage(0..<4)
      Products.product(a.all.reshaped(2, 3), a.all.reshaped(2, 3), into: c.all.reshaped(2, 2))
    }
    await #expect(processExitsWith: .failure) {
      let a = Storage(0..<6)
      let c = Storage(0..<6)
      Products.product(a.all.reshaped(2, 3), a.all.reshaped(2, 3).transposed, into: c.all.reshaped(2, 3))
    }
  }
}
