import Engine
import Testing

@Suite struct ElementwiseTests {
  /// Two matrices and a row as columns of wider storage, so that they are not contiguous.
  private struct Fixture {
    let bench: Bench
    let x, y, row: Matrix

    init(_ rows: Int, _ columns: Int, seed: UInt64) {
      var work = Layout()
      let slots = ["x", "y"].map { work.add($0, rows, columns + 3) } + [work.add("row", columns)]
      bench = Bench(Layout(), work: work, seed: seed)
      (x, y) = (bench[slots[0]].columns(1..<1 + columns), bench[slots[1]].columns(2..<2 + columns))
      row = bench[slots[2]]
    }
  }

  static let sizes = [(1, 1), (3, 7), (4, 8), (2, 13), (5, 32)]

  @Test(arguments: sizes) func sumsAndCopies(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 181)
    let (x, y, row) = (f.x.array(), f.y.array(), f.row.array())
    // The columns outside the view must not change.
    let outside = f.bench.withWork { $0.all.array() }.filter { !(x + y + row).contains($0) }
    Elementwise.add(f.x, to: f.y, scale: 0.5)
    #expect(f.y.array() == zip(x, y).map { $1 + $0 * 0.5 }, "seed 181")
    Elementwise.copy(f.x, to: f.y)
    #expect(f.y.array() == x, "seed 181")
    Elementwise.addBias(f.row, to: f.y)
    #expect(f.y.array() == x.indices.map { x[$0] + row[$0 % columns] }, "seed 181")
    Elementwise.addColumnSums(of: f.x, to: f.row)
    let sums = (0..<columns).map { c in (0..<rows).reduce(row[c]) { $0 + x[$1 * columns + c] } }
    #expect(f.row.array() == sums, "seed 181")
    Elementwise.fill(f.y, 3)
    #expect(f.y.array() == Array(repeating: 3, count: rows * columns))
    let all = f.bench.withWork { $0.all.array() }
    #expect(outside.allSatisfy(all.contains), "seed 181")
  }

  @Test(arguments: sizes) func reluAndItsGradient(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 182)
    f.x[0, 0] = 0
    let (x, dy) = (f.x.array(), f.y.array())
    Elementwise.relu(f.x)
    #expect(f.x.array() == x.map { max($0, 0) }, "seed 182")
    Elementwise.reluBackward(f.y, output: f.x)
    #expect(f.y.array() == zip(x, dy).map { $0 > 0 ? $1 : 0 }, "seed 182")
  }

  @Test(arguments: sizes) func geluHasItsGradient(rows: Int, columns: Int) {
    let f = Fixture(rows, columns, seed: 183)
    let dy = f.y.doubles
    let output = Storage(0..<rows * columns)
    let y = output.all.reshaped(rows, columns)
    Elementwise.geluBackward(f.y, input: f.x, into: f.y)
    let x = Differentiable("x", f.x, gradient: f.y.array())
    FiniteDifferences(seed: 183).expect([x]) {
      Elementwise.gelu(f.x, into: y)
      return zip(y.doubles, dy).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  @Test func geluInPlaceIsTheSame() {
    let f = Fixture(3, 13, seed: 184)
    Elementwise.gelu(f.x, into: f.y)
    Elementwise.gelu(f.x, into: f.x)
    #expect(f.x.bits == f.y.bits, "seed 184")
  }

  @Test func sizesThatDoNotFitTrap() async {
    await #expect(processExitsWith: .failure) {
      let storage = Storage(0..<12)
      Elementwise.addBias(storage[0..<3], to: storage.all.reshaped(3, 4))
    }
    await #expect(processExitsWith: .failure) {
      let storage = Storage(0..<12)
      Elementwise.copy(storage.all.reshaped(3, 4), to: storage.all.reshaped(4, 3))
    }
  }

  /// At every position in a few vectors and their remainder, at any alignment of the bytes.
  @Test(arguments: [Float.infinity, -.infinity, .nan, .signalingNaN, Float(bitPattern: 0xFF80_0001)])
  func theLargestMagnitudeIsFoundEverywhere(bad: Float) {
    let finite: [Float] = [
      .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0, 1,
    ]
    for count in 0...35 {
      var values = (0..<count).map { finite[$0 % finite.count] }
      for place in 0..<count {
        #expect(largest(values) == values.map(\.magnitude).max())
        let good = values[place]
        values[place] = bad
        #expect(!largest(values).isFinite, "\(place) of \(count)")
        values[place] = good
      }
    }
  }

  /// Computes it from floats, and from unaligned bytes with an extra byte at the end.
  private func largest(_ values: [Float]) -> Float {
    let byValues = values.withUnsafeBufferPointer { Elementwise.largestMagnitude($0) }
    let bytes: [UInt8] = [255] + values.withUnsafeBytes { Array($0) } + [255]
    let byBytes = bytes.withUnsafeBytes {
      Elementwise.largestMagnitude(bytes: UnsafeRawBufferPointer(rebasing: $0[1...]))
    }
    #expect(byValues.bitPattern == byBytes.bitPattern)
    return byValues
  }
}
