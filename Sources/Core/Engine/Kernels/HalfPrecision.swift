/// Floats as 16-bit floats (IEEE 754 binary16) and back: half the bytes, 11 bits of precision, up to 65504.
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
