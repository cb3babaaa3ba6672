import Engine
import Foundation

/// A colour that varies over the image: `base` + `change` · pattern, the pattern in -1 … 1.
struct ShapePaint {
  enum Pattern: Int, CaseIterable {
    case plain, gradient, stripes, patches
  }

  /// Red, green, blue, 0 … 1.
  let base: SIMD3<Float>
  private let change: SIMD3<Float>
  private let pattern: Pattern
  /// Direction and frequency of the pattern, in radians over the image's side.
  private let wave: SIMD2<Float>
  private let phase: Float

  /// A colour of the given luminance with a random hue, and a pattern that changes it by `strength`.
  init(luminance: Float, strength: Float, _ random: inout RandomNumbers) {
    base = Self.colour(luminance: luminance, saturation: random.uniform(0.1, 0.7), &random)
    let tint = Self.colour(luminance: 1, saturation: 0.6, &random)
    change = tint * strength
    pattern = Pattern(rawValue: random.below(Pattern.allCases.count)) ?? .plain
    let direction = random.uniform(0, 2 * .pi)
    let frequency = pattern == .gradient ? 2 : random.uniform(9, 32)
    wave = SIMD2(cos(direction), sin(direction)) * frequency
    phase = pattern == .gradient ? 0 : random.uniform(0, 2 * .pi)
  }

  /// The colour at (x, y), each in -0.5 … 0.5 over the image.
  @inline(__always)
  func colour(_ x: Float, _ y: Float) -> SIMD3<Float> {
    switch pattern {
    case .plain: base
    case .gradient: base + change * (wave.x * x + wave.y * y)
    case .stripes: base + change * sin(wave.x * x + wave.y * y + phase)
    case .patches:
      base + change * (sin(wave.x * x + wave.y * y + phase) * sin(wave.x * y - wave.y * x - phase))
    }
  }

  /// A colour of the given luminance: a random one, moved along the grey axis.
  static func colour(
    luminance: Float, saturation: Float, _ random: inout RandomNumbers
  ) -> SIMD3<Float> {
    let colour = SIMD3(random.uniform(), random.uniform(), random.uniform())
    return (colour - Self.luminance(of: colour)) * saturation + luminance
  }

  /// As the grayscale augmentation weighs colours.
  @inline(__always)
  static func luminance(of colour: SIMD3<Float>) -> Float {
    0.2989 * colour.x + 0.587 * colour.y + 0.114 * colour.z
  }
}
