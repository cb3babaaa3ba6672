import Engine
import Testing

@Suite struct UnitRowsTests {
  private struct Fixture {
    let bench: Bench
    let z, u, du, dz, lengths: Matrix

    init(_ rows: Int, _ columns: Int, seed: UInt64) {
      var work = Layout()
      let slots = ["z", "u", "du", "dz"].map { work.add($0, rows, columns + 3) }
      let lengthSlot = work.add("lengths", rows)
      let bench = Bench(Layout(), work: work, seed: seed)
      let views = slots.map { bench[$0].columns(2..<2 + columns) }
      (z, u, du, dz, lengths) = (views[0], views[1], views[2], views[3], bench[lengthSlot])
      self.bench = bench
    }
  }

  @Test(arguments: [(1, 2), (3, 7), (4, 16), (2, 37)]) func gradient(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 201)
    let before = f.dz.array()
    UnitRows.forward(f.z, into: f.u, lengths: f.lengths)
    UnitRows.backward(f.du, output: f.u, lengths: f.lengths, adding: f.dz, scale: 0.7)
    let dz = zip(f.dz.array(), before).map { $0 - $1 }
    f.bench.expectGradients([Differentiable("z", f.z, gradient: dz)]) {
      UnitRows.forward(f.z, into: f.u, lengths: f.lengths)
      return 0.7 * f.u.inner(f.du)
    }
  }

  @Test func rowsHaveLengthOne() {
    let f = Fixture(5, 13, seed: 202)
    UnitRows.forward(f.z, into: f.u, lengths: f.lengths)
    for r in 0..<5 {
      let (z, u) = (f.z.rows(r..<r + 1), f.u.rows(r..<r + 1))
      #expect(abs(u.inner(u) - 1) < 1e-6, "row \(r), seed 202")
      #expect(abs(Double(f.lengths[0, r]) - z.inner(z).squareRoot()) < 1e-6, "row \(r), seed 202")
    }
  }

  @Test func aRowOfZerosStaysFinite() {
    let f = Fixture(2, 13, seed: 203)
    Elementwise.fill(f.z.rows(0..<1), 0)
    UnitRows.forward(f.z, into: f.u, lengths: f.lengths)
    UnitRows.backward(f.du, output: f.u, lengths: f.lengths, adding: f.dz, scale: 1)
    #expect(f.u.rows(0..<1).array() == Array(repeating: 0, count: 13))
    #expect(f.dz.array().allSatisfy { $0.isFinite })
  }
}
