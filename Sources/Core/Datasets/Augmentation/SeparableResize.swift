/// The two passes of a resize: rows first, then columns.
///
/// Both compute ``lanes`` numbers at once, of as many rows or columns. A number is the sum of its products in the order
/// of the input positions, whatever its lane is, so that the result does not depend on the width of vectors.
enum SeparableResize {
  /// The number of rows that the first pass computes at once.
  static let lanes = Pixels.scalarCount

  /// The memory of the first pass: ``lanes`` rows of input and of output, position by position.
  final class Tile {
    fileprivate let input: UnsafeMutablePointer<Float>
    fileprivate let output: UnsafeMutablePointer<Float>
    let longestSide: Int

    /// Allocates memory for rows of up to `longestSide` positions.
    init(longestSide: Int) {
      self.longestSide = longestSide
      input = .allocate(capacity: lanes * longestSide)
      output = .allocate(capacity: lanes * longestSide)
      // Lanes without a row take part in the arithmetic, and nothing reads their results.
      input.initialize(repeating: 0, count: lanes * longestSide)
    }

    deinit {
      input.deallocate()
      output.deallocate()
    }
  }

  /// Resizes rows to `width` columns into `plane` [rows, width], with their columns in reverse if `isMirrored`.
  /// `write(y, place)` writes the input of row y with a stride of ``lanes``.
  @inline(__always)
  static func narrow(
    rows: Int, _ filter: ResamplingFilter, width: Int, isMirrored: Bool,
    into plane: UnsafeMutablePointer<Float>, _ tile: Tile,
    _ write: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    precondition(max(filter.inputs, width) <= tile.longestSide, "a tile of \(tile.longestSide)")
    for first in stride(from: 0, to: rows, by: lanes) {
      let count = min(lanes, rows - first)
      for lane in 0..<count { write(first + lane, tile.input + lane) }
      resample(tile, filter, width: width, isMirrored: isMirrored)
      for lane in 0..<count {
        let (row, output) = (plane + (first + lane) * width, tile.output + lane)
        for x in 0..<width { row[x] = output[lanes * x] }
      }
    }
  }

  private static func resample(_ tile: Tile, _ filter: ResamplingFilter, width: Int, isMirrored: Bool) {
    let (starts, counts, taps) = (filter.starts, filter.counts, filter.taps)
    for x in 0..<width {
      let source = tile.input + lanes * starts[x]
      let weights = filter.weights + x * taps
      var sum = Pixels.load(source) * weights[0]
      for tap in 1..<max(counts[x], 1) { sum += Pixels.load(source + lanes * tap) * weights[tap] }
      sum.store(tile.output + lanes * (isMirrored ? width - 1 - x : x))
    }
  }

  /// Computes row y of the second pass from the result of the first.
  static func shorten(
    _ plane: UnsafePointer<Float>, _ filter: ResamplingFilter, row y: Int, width: Int,
    into row: UnsafeMutablePointer<Float>
  ) {
    let first = plane + filter.starts[y] * width
    combine(max(filter.counts[y], 1), filter.weights + y * filter.taps, count: width, into: row) {
      first + $0 * width
    }
  }

  /// Writes the sum of `taps` rows of `count` numbers, each times its weight; `source(tap)` is a row. The target may be
  /// none of them.
  @inline(__always)
  static func combine(
    _ taps: Int, _ weights: UnsafePointer<Float>, count: Int, into target: UnsafeMutablePointer<Float>,
    _ source: (Int) -> UnsafePointer<Float>
  ) {
    let (step, block) = (lanes, 4 * lanes)
    var x = 0
    // Four vectors stay in registers while all taps are added.
    while x &+ block <= count {
      let (start, weight) = (source(0) + x, weights[0])
      var a = Pixels.load(start) * weight
      var b = Pixels.load(start + step) * weight
      var c = Pixels.load(start + 2 * step) * weight
      var d = Pixels.load(start + 3 * step) * weight
      for tap in 1..<taps {
        let (start, weight) = (source(tap) + x, weights[tap])
        a += Pixels.load(start) * weight
        b += Pixels.load(start + step) * weight
        c += Pixels.load(start + 2 * step) * weight
        d += Pixels.load(start + 3 * step) * weight
      }
      a.store(target + x)
      b.store(target + x + step)
      c.store(target + x + 2 * step)
      d.store(target + x + 3 * step)
      x &+= block
    }
    while x &+ step <= count {
      var sum = Pixels.load(source(0) + x) * weights[0]
      for tap in 1..<taps { sum += Pixels.load(source(tap) + x) * weights[tap] }
      sum.store(target + x)
      x &+= step
    }
    while x < count {
      var sum = source(0)[x] * weights[0]
      for tap in 1..<taps { sum += source(tap)[x] * weights[tap] }
      target[x] = sum
      x &+= 1
    }
  }
}
