/// Quantisation of floats to levels of a few bits with one scale per row and stochastic rounding: a value between two
/// levels is rounded to either, with probabilities that make the result unbiased (QSGD, arXiv 1610.02132, section 3).
package enum Quantisation {
  /// Returns the largest level for a number of bits; levels are -largest … largest.
  package static func largest(bits: Int) -> Int32 { Int32(1) << (bits - 1) - 1 }

  /// Returns the scale of a row: its largest magnitude divided by the largest level. 0 for a row of zeros; not finite
  /// if a value is not finite.
  package static func scale(_ row: UnsafePointer<Float>, count: Int, bits: Int) -> Float {
    var most = Vector(repeating: 0)
    var rest: Float = 0
    Elementwise.sweep(count) {
      let x = Vector.load(row + $0)
      let magnitude = x.replacing(with: -x, where: x .< 0)
      // NaN replaces any value and is kept, because comparisons with it are false.
      most = most.replacing(with: magnitude, where: .!(magnitude .<= most) .& (most .== most))
    } scalar: {
      let magnitude = abs(row[$0])
      if !(magnitude <= rest) && rest == rest { rest = magnitude }
    }
    for lane in 0..<8 where !(most[lane] <= rest) && rest == rest { rest = most[lane] }
    return rest / Float(largest(bits: bits))
  }

  /// levels = row / scale, rounded to one of the two nearest levels. The same seed and first index give the same
  /// rounding.
  ///
  /// - Parameter first: The index of the row's first value among all values, which determines the random numbers.
  package static func encode(
    _ row: UnsafePointer<Float>, scale: Float, bits: Int, into levels: UnsafeMutablePointer<Int8>, count: Int,
    seed: UInt32, first: Int
  ) {
    let largest = largest(bits: bits)
    let inverse: Float = scale > 0 && scale.isFinite ? 1 / scale : 0
    let magic: Float = 12_582_912
    let zero = Int32(bitPattern: magic.bitPattern)
    func chances(_ index: SIMD8<UInt32>) -> Vector {
      var x = (index &+ seed) &* 0x9E37_79B1
      x = (x ^ (x &>> 15)) &* 0x85EB_CA77
      x = (x ^ (x &>> 13)) &* 0xC2B2_AE3D
      // 24 bits give an exact float in 0 ..< 1.
      return Vector(truncating: (x ^ (x &>> 16)) &>> 8) * 5.960_464_5e-8
    }
    func rounded(_ x: Vector, _ index: SIMD8<UInt32>) -> SIMD8<Int8> {
      // The nearest integer to y + u - 1/2 is the greatest below y + u; NaN gives an arbitrary level.
      let shifted = (x * inverse + chances(index) - 0.5) + magic
      let level = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- zero
      let bounded = level.clamped(
        lowerBound: SIMD8(repeating: -largest), upperBound: SIMD8(repeating: largest))
      return SIMD8<Int8>(truncatingIfNeeded: bounded)
    }
    let lanes = SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7)
    Elementwise.sweep(count) {
      let level = rounded(Vector.load(row + $0), lanes &+ UInt32(truncatingIfNeeded: first + $0))
      UnsafeMutableRawPointer(levels + $0).storeBytes(of: level, as: SIMD8<Int8>.self)
    } scalar: {
      let index = SIMD8(repeating: UInt32(truncatingIfNeeded: first + $0))
      levels[$0] = rounded(Vector(repeating: row[$0]), index)[0]
    }
  }

  /// row = levels · scale.
  package static func decode(
    _ levels: UnsafePointer<Int8>, scale: Float, into row: UnsafeMutablePointer<Float>, count: Int
  ) {
    Elementwise.sweep(count) {
      let level = UnsafeRawPointer(levels + $0).loadUnaligned(as: SIMD8<Int8>.self)
      (Vector(SIMD8<Int32>(truncatingIfNeeded: level)) * scale).store(row + $0)
    } scalar: {
      row[$0] = Float(levels[$0]) * scale
    }
  }
}

extension Vector {
  /// Converts whole numbers below 2^24.
  @inline(__always)
  fileprivate init(truncating values: SIMD8<UInt32>) {
    self.init(SIMD8<Int32>(truncatingIfNeeded: values))
  }
}

/// Conversion of floats to 16-bit floats (IEEE 754 binary16) and back: half the bytes, 11 bits of precision, up to
/// 65504.
package enum HalfPrecision {
  /// to = from, rounded.
  package static func encode(
    _ from: UnsafePointer<Float>, into to: UnsafeMutableRawPointer, count: Int
  ) {
    let halves = to.assumingMemoryBound(to: Float16.self)
    Elementwise.sweep(count) {
      (to + 2 * $0).storeBytes(of: SIMD8<Float16>(Vector.load(from + $0)), as: SIMD8<Float16>.self)
    } scalar: {
      halves[$0] = Float16(from[$0])
    }
  }

  /// to = from, exactly.
  package static func decode(
    _ from: UnsafeRawPointer, into to: UnsafeMutablePointer<Float>, count: Int
  ) {
    let halves = from.assumingMemoryBound(to: Float16.self)
    Elementwise.sweep(count) {
      Vector((from + 2 * $0).loadUnaligned(as: SIMD8<Float16>.self)).store(to + $0)
    } scalar: {
      to[$0] = Float(halves[$0])
    }
  }
}
