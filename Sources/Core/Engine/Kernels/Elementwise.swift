/// Operations on single elements and rows: bias, GELU, ReLU, softmax, sums.
///
/// Each function processes whole vectors and then the remaining elements; rows may have any stride.
package enum Elementwise {
  /// Calls `vector` with the start of each whole vector of `count` floats, then `scalar` with each remaining index.
  @inline(__always)
  static func sweep(_ count: Int, vector: (Int) -> Void, scalar: (Int) -> Void) {
    var i = 0
    while i &+ Vector.scalarCount <= count {
      vector(i)
      i &+= Vector.scalarCount
    }
    while i < count {
      scalar(i)
      i &+= 1
    }
  }

  /// x += bias on every row                       x [R, D], bias [1, D]
  package static func addBias(_ bias: Matrix, to x: Matrix) {
    precondition(bias.count == x.columns, "a bias of \(bias.count) for \(x.columns) columns")
    for r in 0..<x.rows { add(bias.start, to: x.row(r), count: x.columns) }
  }

  /// Sets every row of x to `row`.                row [1, D], x [R, D]
  package static func fillRows(of x: Matrix, with row: Matrix) {
    precondition(row.count == x.columns, "a row of \(row.count) for \(x.columns) columns")
    for r in 0..<x.rows { x.row(r).update(from: row.start, count: x.columns) }
  }

  /// bias += Σ over rows of dy                    dy [R, D], bias [1, D]
  package static func addColumnSums(of dy: Matrix, to bias: Matrix) {
    precondition(bias.count == dy.columns, "column sums of \(dy.columns) into \(bias.count)")
    for r in 0..<dy.rows { add(dy.row(r), to: bias.start, count: dy.columns) }
  }

  /// y[0 ..< count] += scale · x[0 ..< count]
  @inline(__always)
  package static func add(
    _ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int, scale: Float = 1
  ) {
    sweep(count) {
      (Vector.load(y + $0) + Vector.load(x + $0) * scale).store(y + $0)
    } scalar: {
      y[$0] += scale * x[$0]
    }
  }

  /// Returns the largest magnitude of float32 values in received bytes, which may be unaligned; bytes after the last
  /// whole value are ignored. NaN if one of the values is NaN, and 0 if there are none.
  package static func largestMagnitude(bytes: UnsafeRawBufferPointer) -> Float {
    guard let start = bytes.baseAddress else { return 0 }
    let values = bytes.count / 4
    // Without the sign bit, floats are ordered by their bits: finite values, infinity, NaN.
    let magnitude: UInt32 = 0x7FFF_FFFF
    var most = SIMD16<UInt32>.zero
    var index = 0
    while index &+ 16 <= values {
      let bits = start.loadUnaligned(fromByteOffset: 4 &* index, as: SIMD16<UInt32>.self) & magnitude
      most = most.replacing(with: bits, where: bits .> most)
      index &+= 16
    }
    var last: UInt32 = 0
    while index < values {
      last = max(last, start.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self) & magnitude)
      index &+= 1
    }
    return Float(bitPattern: (0..<16).reduce(last) { max($0, most[$1]) })
  }

  /// Returns the largest magnitude of values in memory.               values [L]
  package static func largestMagnitude(_ values: UnsafeBufferPointer<Float>) -> Float {
    largestMagnitude(bytes: UnsafeRawBufferPointer(values))
  }

  /// Returns the largest magnitude of a contiguous matrix.
  package static func largestMagnitude(_ x: Matrix) -> Float {
    precondition(x.isContiguous)
    return largestMagnitude(UnsafeBufferPointer(start: x.start, count: x.count))
  }

  /// Returns the larger of two magnitudes; NaN if one of them is NaN.
  package static func larger(_ a: Float, _ b: Float) -> Float {
    Float(bitPattern: max(a.magnitude.bitPattern, b.magnitude.bitPattern))
  }

  /// Computes y += scale · x, of the same shape.
  package static func add(_ x: Matrix, to y: Matrix, scale: Float = 1) {
    precondition(x.rows == y.rows && x.columns == y.columns)
    for r in 0..<x.rows { add(x.row(r), to: y.row(r), count: x.columns, scale: scale) }
  }

  /// Multiplies x by a factor.
  package static func scale(_ x: Matrix, by factor: Float) {
    for r in 0..<x.rows {
      let row = x.row(r)
      sweep(x.columns) {
        (Vector.load(row + $0) * factor).store(row + $0)
      } scalar: {
        row[$0] *= factor
      }
    }
  }

  /// Computes y = keeping · y + (1 - keeping) · x, of the same shape.
  package static func blend(_ x: Matrix, into y: Matrix, keeping: Float) {
    precondition(x.rows == y.rows && x.columns == y.columns)
    let change = 1 - keeping
    for r in 0..<x.rows {
      let (from, to) = (x.row(r), y.row(r))
      sweep(x.columns) {
        (Vector.load(to + $0) * keeping + Vector.load(from + $0) * change).store(to + $0)
      } scalar: {
        to[$0] = to[$0] * keeping + from[$0] * change
      }
    }
  }

  /// Computes y = x, of the same shape.
  package static func copy(_ x: Matrix, to y: Matrix) {
    precondition(x.rows == y.rows && x.columns == y.columns)
    for r in 0..<x.rows { y.row(r).update(from: x.row(r), count: x.columns) }
  }

  /// Sets every element.
  package static func fill(_ x: Matrix, _ value: Float) {
    for r in 0..<x.rows { x.row(r).update(repeating: value, count: x.columns) }
  }

  /// y = x Φ(x), the exact GELU (arXiv 1606.08415).       x, y [R, D]; y may be x.
  package static func gelu(_ x: Matrix, into y: Matrix) {
    precondition(x.rows == y.rows && x.columns == y.columns)
    for r in 0..<x.rows {
      let (from, to) = (x.row(r), y.row(r))
      sweep(x.columns) {
        let v = Vector.load(from + $0)
        (v * Vector.normal(v).cumulative).store(to + $0)
      } scalar: {
        to[$0] = from[$0] * Vector.normal(Vector(repeating: from[$0])).cumulative[0]
      }
    }
  }

  /// dx = dy (Φ(x) + x φ(x))                              x, dy, dx [R, D]; dx may be dy.
  package static func geluBackward(_ dy: Matrix, input x: Matrix, into dx: Matrix) {
    precondition(x.rows == dy.rows && x.columns == dy.columns && dx.rows == x.rows && dx.columns == x.columns)
    for r in 0..<x.rows {
      let (input, from, to) = (x.row(r), dy.row(r), dx.row(r))
      sweep(x.columns) {
        let v = Vector.load(input + $0)
        let normal = Vector.normal(v)
        (Vector.load(from + $0) * (normal.cumulative + v * normal.density)).store(to + $0)
      } scalar: {
        let normal = Vector.normal(Vector(repeating: input[$0]))
        to[$0] = from[$0] * (normal.cumulative[0] + input[$0] * normal.density[0])
      }
    }
  }

  /// Computes x = max(x, 0) in place.
  package static func relu(_ x: Matrix) {
    for r in 0..<x.rows {
      let row = x.row(r)
      sweep(x.columns) {
        let v = Vector.load(row + $0)
        v.replacing(with: 0, where: v .< 0).store(row + $0)
      } scalar: {
        row[$0] = max(row[$0], 0)
      }
    }
  }

  /// Sets dy = 0 where the output y of ReLU is not positive, in place.      y, dy [R, D]
  package static func reluBackward(_ dy: Matrix, output y: Matrix) {
    precondition(y.rows == dy.rows && y.columns == dy.columns)
    for r in 0..<y.rows {
      let (output, row) = (y.row(r), dy.row(r))
      sweep(y.columns) {
        Vector.load(row + $0).replacing(with: 0, where: Vector.load(output + $0) .<= 0).store(row + $0)
      } scalar: {
        if output[$0] <= 0 { row[$0] = 0 }
      }
    }
  }

  @inline(__always)
  static func sum(_ x: UnsafePointer<Float>, count: Int) -> Float {
    var vector = Vector.zero
    var rest: Float = 0
    sweep(count) {
      vector += Vector.load(x + $0)
    } scalar: {
      rest += x[$0]
    }
    return vector.sum() + rest
  }

  /// Σ x[i] y[i]
  @inline(__always)
  static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float {
    var vector = Vector.zero
    var rest: Float = 0
    sweep(count) {
      vector += Vector.load(x + $0) * Vector.load(y + $0)
    } scalar: {
      rest += x[$0] * y[$0]
    }
    return vector.sum() + rest
  }
}

/// Normalisation of rows to length 1, and its backward pass.
package enum UnitRows {
  /// u = z / ‖z‖ row by row; writes the lengths to `lengths`.       z, u [R, D], lengths [1, R]
  package static func forward(_ z: Matrix, into u: Matrix, lengths: Matrix) {
    precondition(z.rows == u.rows && z.columns == u.columns && lengths.count >= z.rows)
    for r in 0..<z.rows {
      let (from, to) = (z.row(r), u.row(r))
      // The lower bound keeps the result for a row of zeros finite.
      let length = max(Elementwise.dot(from, from, count: z.columns).squareRoot(), 1e-12)
      lengths.start[r] = length
      for c in 0..<z.columns { to[c] = from[c] / length }
    }
  }

  /// dz += scale (du - u (u·du)) / ‖z‖ row by row.                  du, u, dz [R, D]
  package static func backward(
    _ du: Matrix, output u: Matrix, lengths: Matrix, adding dz: Matrix, scale: Float
  ) {
    for r in 0..<u.rows {
      let (d, unit, to) = (du.row(r), u.row(r), dz.row(r))
      let along = Elementwise.dot(unit, d, count: u.columns)
      let factor = scale / lengths.start[r]
      for c in 0..<u.columns { to[c] += factor * (d[c] - unit[c] * along) }
    }
  }
}
