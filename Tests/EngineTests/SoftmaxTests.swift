import Engine
import Foundation
import Testing

@Suite struct SoftmaxTests {
  static let sizes = [(1, 1), (3, 7), (2, 16), (4, 65)]

  /// Three matrices as columns of wider storage.
  private struct Fixture {
    let bench: Bench
    let x, y, dy: Matrix

    init(_ rows: Int, _ columns: Int, seed: UInt64) {
      var work = Layout()
      let slots = ["x", "y", "dy"].map { work.add($0, rows, columns + 2) }
      let bench = Bench(Layout(), work: work, seed: seed)
      let views = slots.map { bench[$0].columns(1..<1 + columns) }
      (x, y, dy) = (views[0], views[1], views[2])
      self.bench = bench
    }
  }

  @Test(arguments: sizes) func matchesTheFormula(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 191)
    let (x, y) = (f.x, f.y)
    Elementwise.add(x, to: x, scale: 9)
    Elementwise.copy(x, to: y)
    Softmax.forward(y)
    for r in 0..<rows {
      let exponentials = x.rows(r..<r + 1).doubles.map(exp)
      let sum = exponentials.reduce(0, +)
      for c in 0..<columns {
        let expected = exponentials[c] / sum
        #expect(abs(Double(y[r, c]) - expected) < 1e-6 * max(expected, 1e-3), "(\(r), \(c)), seed 191")
      }
      let total = Softmax.row(x.row(r), count: columns)
      #expect(abs(Double(total) - log(sum)) < 1e-5 * max(1, abs(log(sum))), "row \(r), seed 191")
      #expect(x.rows(r..<r + 1).bits == y.rows(r..<r + 1).bits, "row \(r), seed 191")
    }
    withExtendedLifetime(f.bench) {}
  }

  @Test(arguments: sizes.dropFirst()) func gradient(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 192)
    let (x, y, dy) = (f.x, f.y, f.dy)
    let d = dy.doubles
    Elementwise.copy(x, to: y)
    Softmax.forward(y)
    Softmax.backward(dy, output: y)
    let tensor = Differentiable("x", x, gradient: dy.array())
    f.bench.expectGradients([tensor]) {
      Elementwise.copy(x, to: y)
      Softmax.forward(y)
      return zip(y.doubles, d).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  @Test func largeNumbersAndMasksDoNoHarm() {
    let storage = Storage(0..<11)
    storage.all.set([1e30, 1e30, -1e30, -.infinity, 0, 1, 2, 3, 4, 5, -.infinity])
    Softmax.forward(storage.all)
    let y = storage.all.array()
    #expect(y[0] == 0.5 && y[1] == 0.5 && y.dropFirst(2).allSatisfy { $0 >= 0 && $0 < 1e-37 })
  }

  /// The vector exponential clamps its argument, and a clamp replaces NaN by a bound.
  @Test(arguments: 0..<11) func whatIsNotANumberIsNotHidden(place: Int) {
    let storage = Storage(0..<11)
    storage.all[0, place] = .nan
    _ = Softmax.row(storage.all.start, count: 11)
    #expect(storage.all.array().contains { $0.isNaN })
  }
}
