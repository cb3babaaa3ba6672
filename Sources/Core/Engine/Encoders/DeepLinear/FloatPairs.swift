/// Doubles as unevaluated sums of two floats, high + low (Dekker 1971): a relative error of at most 2⁻⁴⁹.
///
/// Parts of a model and updates are float32; a pair in them holds a number of float64. It is finite exactly if the number
/// is within the range of float32, so the checks of float32 values apply to pairs.
package enum FloatPairs {
  /// Returns the pair of a number.
  package static func split(_ value: Double) -> (high: Float, low: Float) {
    let high = Float(value)
    return (high, high.isFinite ? Float(value - Double(high)) : high)
  }

  /// Returns the number of a pair.
  package static func join(_ high: Float, _ low: Float) -> Double { Double(high) + Double(low) }

  /// Returns numbers as pairs one after another, each high before low.
  package static func encode(_ values: [Double]) -> [Float] {
    values.flatMap { value in
      let (high, low) = split(value)
      return [high, low]
    }
  }

  /// Returns the numbers of pairs one after another.
  package static func decode(_ pairs: UnsafeBufferPointer<Float>) -> [Double] {
    precondition(pairs.count % 2 == 0, "\(pairs.count) floats")
    return stride(from: 0, to: pairs.count, by: 2).map { join(pairs[$0], pairs[$0 + 1]) }
  }
}
