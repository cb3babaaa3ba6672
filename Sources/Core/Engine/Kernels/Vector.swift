/// The vector type of the element-wise kernels: 8 floats, one AVX register or two SSE or NEON registers.
package typealias Vector = SIMD8<Float>

extension Vector {
  /// Returns a · b + c, in one instruction if the build target has it. On other targets, `addingProduct` would call a
  /// library function for every element.
  @inline(__always)
  static func multiplyAdd(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector {
    #if STRATA_FMA
      c.addingProduct(a, b)
    #else
      a * b + c
    #endif
  }

  @inline(__always)
  static func multiplyAdd(_ a: Vector, _ b: Float, _ c: Float) -> Vector {
    multiplyAdd(a, Vector(repeating: b), Vector(repeating: c))
  }

  @inline(__always)
  static func multiplyAdd(_ a: Vector, _ b: Vector, _ c: Float) -> Vector {
    multiplyAdd(a, b, Vector(repeating: c))
  }

  @inline(__always)
  static func load(_ pointer: UnsafePointer<Float>) -> Vector {
    UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
  }

  @inline(__always)
  func store(_ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: self, as: Vector.self)
  }

  /// Returns e^x with a relative error of about 1e-7: 2^n · e^r with |r| <= ln 2 / 2, and the Taylor polynomial of
  /// degree 6 for e^r. Arguments are clamped to -87 … 88; NaN stays NaN.
  @inline(__always)
  static func exp(_ argument: Vector) -> Vector {
    let raised = argument.replacing(with: -87, where: argument .< -87)
    let x = raised.replacing(with: 88, where: raised .> 88)
    // Adding 1.5 · 2^23 leaves the nearest integer in the low bits of the sum, without a rounding instruction, which
    // the x86-64 baseline lacks.
    let magic: Float = 12_582_912
    let shifted = multiplyAdd(x, 1.442_695_04, magic)
    let n = shifted - magic
    let r = multiplyAdd(
      n, Vector(repeating: 2.121_944_4e-4), multiplyAdd(n, Vector(repeating: -0.693_359_375), x))
    var p = multiplyAdd(r, 1.0 / 720, 1.0 / 120)
    p = multiplyAdd(p, r, 1.0 / 24)
    p = multiplyAdd(p, r, 1.0 / 6)
    p = multiplyAdd(p, r, 0.5)
    p = multiplyAdd(p, r, 1)
    p = multiplyAdd(p, r, 1)
    let bits = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &<< 23
    let scaled = unsafeBitCast(p, to: SIMD8<Int32>.self) &+ bits
    // Restores NaN, which the clamp would replace with a number.
    return unsafeBitCast(scaled, to: Vector.self).replacing(with: argument, where: argument .!= argument)
  }

  /// Returns the normal distribution's density and cumulative function at x:
  /// φ = e^(-x²/2) / √(2π),  Φ = (1 + erf(x / √2)) / 2.
  ///
  /// erf is Abramowitz and Stegun 7.1.26, with an absolute error of at most 1.5e-7.
  @inline(__always)
  static func normal(_ x: Vector) -> (density: Vector, cumulative: Vector) {
    let magnitude = x.replacing(with: -x, where: x .< 0)
    let e = exp(x * x * -0.5)
    let t = 1 / multiplyAdd(magnitude, 0.327_591_1 * 0.707_106_78, 1)
    var p = multiplyAdd(t, 1.061_405_429, -1.453_152_027)
    p = multiplyAdd(p, t, 1.421_413_741)
    p = multiplyAdd(p, t, -0.284_496_736)
    p = multiplyAdd(p, t, 0.254_829_592)
    let tail = p * t * e * 0.5
    return (e * 0.398_942_28, (1 - tail).replacing(with: tail, where: x .< 0))
  }
}
