import Foundation

/// Random numbers from a seed, identical on every machine: SplitMix64 (Steele, Lea, Flood 2014).
///
/// A stream is identified by its seed and its purpose, so that no two uses share a stream and the order in which
/// threads draw has no effect: `RandomNumbers(seed, "augment", epoch, image)`.
package struct RandomNumbers: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(_ seed: UInt64) { state = seed }

  /// Creates a separate stream for a purpose and a list of numbers.
  package init(_ seed: UInt64, _ purpose: String, _ numbers: Int...) {
    self.init(Self.derive(seed, purpose, numbers))
  }

  /// Returns a seed for a purpose, derived from another seed.
  package static func derive(_ seed: UInt64, _ purpose: String, _ numbers: [Int] = []) -> UInt64 {
    var mixed = mix(seed &+ 0x9E37_79B9_7F4A_7C15)
    for byte in purpose.utf8 { mixed = mix(mixed ^ UInt64(byte)) }
    for number in numbers { mixed = mix(mixed ^ mix(UInt64(bitPattern: Int64(number)))) }
    return mixed
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Returns a uniform number in 0 ..< 1.
  package mutating func uniform() -> Float { Float(next() >> 40) * 0x1p-24 }

  /// Returns a uniform number in a range.
  package mutating func uniform(_ low: Float, _ high: Float) -> Float { low + (high - low) * uniform() }

  /// Returns a uniform integer in 0 ..< bound; `bound` is at least 1.
  package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

  /// Returns true with the given probability.
  package mutating func chance(_ probability: Float) -> Bool { uniform() < probability }

  /// Returns a normally distributed number with mean 0 and standard deviation 1 (Box and Muller 1958).
  package mutating func normal() -> Float { Float(doubleNormal()) }

  /// Returns the same number in float64.
  package mutating func doubleNormal() -> Double {
    let radius = (-2 * log(1 - Double(next() >> 11) * 0x1p-53)).squareRoot()
    return radius * cos(2 * Double.pi * Double(next() >> 11) * 0x1p-53)
  }
}
