import Engine
import Foundation

/// The built-in images: ten shapes in random colours, patterns, positions, sizes, angles and noise, so that only the
/// shape determines the class. They need no files and no licence.
package enum Shapes {
  /// The number of classes, ten.
  package static let classes = ShapeClass.allCases.count

  /// Returns images 0 ..< count of the seed's training or test stream, with labels.
  ///
  /// Image i depends only on the seed, the role, i, the size and the channels. Every ten consecutive images contain
  /// each class once. One channel is the luminance of the three.
  package static func generate(
    count: Int, size: Int, channels: Int, seed: UInt64, role: DataRole
  ) -> ImageSet {
    precondition(
      count >= 0 && size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    let imageSize = channels * size * size
    var labels: [Int] = []
    labels.reserveCapacity(count)
    let pixels = [UInt8](unsafeUninitializedCapacity: count * imageSize) { buffer, initialized in
      buffer.initialize(repeating: 0)
      for index in 0..<count {
        let shape = shape(of: index, seed: seed, role: role)
        let image = UnsafeMutableBufferPointer(rebasing: buffer[index * imageSize..<(index + 1) * imageSize])
        var random = RandomNumbers(seed, role == .train ? "shapes train" : "shapes test", index)
        paint(ShapeScene(shape, &random), size: size, channels: channels, into: image, &random)
        labels.append(shape.rawValue)
      }
      initialized = count * imageSize
    }
    return ImageSet(
      pixels: pixels, count: count, channels: channels, size: size, labels: labels, classes: classes)
  }

  /// Returns the class of an image. The classes are shuffled within each ten, so that no regular choice of indices
  /// prefers one.
  private static func shape(of index: Int, seed: UInt64, role: DataRole) -> ShapeClass {
    var random = RandomNumbers(
      seed, role == .train ? "shapes train order" : "shapes test order", index / classes)
    return ShapeClass.allCases.shuffled(using: &random)[index % classes]
  }

  private static func paint(
    _ scene: ShapeScene, size: Int, channels: Int, into image: UnsafeMutableBufferPointer<UInt8>,
    _ random: inout RandomNumbers
  ) {
    let (pixel, area) = (1 / Float(size), size * size)
    for row in 0..<size {
      let y = (Float(row) + 0.5) * pixel - 0.5
      for column in 0..<size {
        let x = (Float(column) + 0.5) * pixel - 0.5
        let colour = scene.colour(x, y, pixel: pixel) + noise(&random) * scene.noise
        let position = row * size + column
        guard channels == 3 else {
          image[position] = byte(ShapePaint.luminance(of: colour))
          continue
        }
        image[position] = byte(colour.x)
        image[area + position] = byte(colour.y)
        image[2 * area + position] = byte(colour.z)
      }
    }
  }

  /// Returns three numbers in -1 … 1 with a triangular distribution: each is the sum of two numbers of 10 bits.
  @inline(__always)
  private static func noise(_ random: inout RandomNumbers) -> SIMD3<Float> {
    let bits = random.next()
    func sum(_ shift: UInt64) -> Float {
      Float((bits >> shift) & 1023) + Float((bits >> (shift + 10)) & 1023)
    }
    return SIMD3(sum(0), sum(20), sum(40)) / 1023 - 1
  }

  @inline(__always)
  private static func byte(_ value: Float) -> UInt8 {
    UInt8(min(max(value, 0), 1) * 255 + 0.5)
  }
}

/// The random choices of one built-in image, except the noise of its pixels.
///
/// Only the shape depends on the class. Lengths are shares of the image's side, positions are -0.5 … 0.5.
struct ShapeScene {
  /// A round spot on the background, as a distractor.
  struct Spot {
    let x: Float
    let y: Float
    let radius: Float
    let colour: SIMD3<Float>
  }

  let shape: ShapeClass
  let x: Float
  let y: Float
  let radius: Float
  /// The cosine and sine of the rotation.
  let turn: SIMD2<Float>
  /// The stretching of the shape as a factor for each direction.
  let stretch: SIMD2<Float>
  let line: Float
  let foreground: ShapePaint
  let background: ShapePaint
  let spots: [Spot]
  /// The maximum change of a channel by noise.
  let noise: Float

  init(_ shape: ShapeClass, _ random: inout RandomNumbers) {
    self.shape = shape
    radius = random.uniform(0.26, 0.42)
    // A shape may extend slightly over the edge, but its middle does not.
    let room = 0.54 - radius
    x = random.uniform(-room, room)
    y = random.uniform(-room, room)
    let angle = random.uniform(-0.7, 0.7)
    turn = SIMD2(cos(angle), sin(angle))
    let ratio = random.uniform(0.88, 1.14)
    stretch = SIMD2(ratio, 1 / ratio)
    line = random.uniform(0.8, 1.25)
    let contrast = random.uniform(0.2, 0.6) * (random.chance(0.5) ? 1 : -1)
    let middle = random.uniform(0.3, 0.7)
    // Patterns are weaker than the contrast, so that the outline stays visible.
    foreground = ShapePaint(
      luminance: middle + contrast / 2, strength: abs(contrast) * random.uniform(0.1, 0.35), &random)
    background = ShapePaint(
      luminance: middle - contrast / 2, strength: abs(contrast) * random.uniform(0.1, 0.35), &random)
    spots = (0..<random.below(4)).map { _ in
      Spot(
        x: random.uniform(-0.5, 0.5), y: random.uniform(-0.5, 0.5), radius: random.uniform(0.03, 0.09),
        colour: ShapePaint.colour(luminance: random.uniform(0.1, 0.9), saturation: 0.7, &random))
    }
    noise = random.uniform(0.02, 0.12)
  }

  /// Returns the colour at (x, y) without noise; `pixel` is the side of a pixel, over which edges are antialiased.
  @inline(__always)
  func colour(_ px: Float, _ py: Float, pixel: Float) -> SIMD3<Float> {
    let (dx, dy) = ((px - x) / radius, (py - y) / radius)
    // Image rows count downwards, shapes point upwards.
    let u = (turn.x * dx + turn.y * dy) * stretch.x
    let v = (turn.y * dx - turn.x * dy) * stretch.y
    let inside = coverage(shape.distance(u, v, line: line) * radius, pixel)
    if inside == 1 { return foreground.colour(px, py) }
    var colour = background.colour(px, py)
    for spot in spots {
      let (dx, dy) = (px - spot.x, py - spot.y)
      let part = coverage((dx * dx + dy * dy).squareRoot() - spot.radius, pixel)
      if part > 0 { colour += (spot.colour - colour) * part }
    }
    return inside == 0 ? colour : colour + (foreground.colour(px, py) - colour) * inside
  }

  /// Returns the share of a pixel at this distance from an edge that lies inside.
  @inline(__always)
  private func coverage(_ distance: Float, _ pixel: Float) -> Float {
    min(max(0.5 - distance / pixel, 0), 1)
  }
}

/// The ten classes of the built-in images; the raw value is the label.
package enum ShapeClass: Int, Sendable, CaseIterable {
  case disc, ring, square, triangle, cross, star, crescent, bars, checker, heart

  /// Returns the signed distance from (x, y) to the shape, negative inside; the shape approximately fills the unit
  /// disc.
  ///
  /// `line` is the width of its lines, 1 in the middle of its range. The distance is exact near straight edges and
  /// sufficient for antialiasing elsewhere.
  @inline(__always)
  func distance(_ x: Float, _ y: Float, line: Float) -> Float {
    switch self {
    case .disc: Self.disc(x, y, 0.85)
    case .ring: abs(Self.disc(x, y, 0.7)) - 0.17 * line
    case .square: Self.box(x, y, 0.74, 0.74)
    case .triangle: max(-y - 0.46, 0.866 * abs(x) + 0.5 * y - 0.46)
    case .cross: min(Self.box(x, y, 0.92, 0.24 * line), Self.box(x, y, 0.24 * line, 0.92))
    case .star: Self.star(x, y, inner: 0.38 * line)
    case .crescent: max(Self.disc(x, y, 0.9), -Self.disc(x - 0.58 / line, y, 0.75))
    case .bars:
      min(
        Self.box(x, y, 0.17 * line, 0.85),
        min(Self.box(x - 0.62, y, 0.17 * line, 0.85), Self.box(x + 0.62, y, 0.17 * line, 0.85)))
    case .checker: min(Self.box(x - 0.42, y - 0.42, 0.4, 0.4), Self.box(x + 0.42, y + 0.42, 0.4, 0.4))
    case .heart: Self.heart(abs(x), y)
    }
  }

  @inline(__always)
  private static func disc(_ x: Float, _ y: Float, _ radius: Float) -> Float {
    (x * x + y * y).squareRoot() - radius
  }

  @inline(__always)
  private static func box(_ x: Float, _ y: Float, _ halfWidth: Float, _ halfHeight: Float) -> Float {
    max(abs(x) - halfWidth, abs(y) - halfHeight)
  }

  /// Returns the distance to a five-pointed star with tips at distance 1 and notches at distance `inner`.
  ///
  /// Reflection at its axes of symmetry reduces it to half a point, whose outline is a single edge.
  @inline(__always)
  private static func star(_ x: Float, _ y: Float, inner: Float) -> Float {
    // sin 36° and cos 36°.
    let (sine, cosine): (Float, Float) = (0.587_785, 0.809_017)
    var (x, y) = (abs(x), y)
    let right = 2 * max(cosine * x - sine * y, 0)
    (x, y) = (x - cosine * right, y + sine * right)
    let left = 2 * max(-cosine * x - sine * y, 0)
    (x, y) = (abs(x + cosine * left), y + sine * left)
    // The edge from the tip (0, 1) to the notch 36° further.
    let (edgeX, edgeY) = (sine * inner, cosine * inner - 1)
    return (edgeX * (y - 1) - edgeY * x) / (edgeX * edgeX + edgeY * edgeY).squareRoot()
  }

  /// Returns the distance to a square on its corner with a disc on each of its upper sides; x is not negative.
  @inline(__always)
  private static func heart(_ x: Float, _ y: Float) -> Float {
    let half: Float = 0.5
    let y = y + 0.1
    let square = max(abs(x + y), abs(x - y)) * 0.707_107 - half
    return min(square, disc(x - half * 0.707_107, y - half * 0.707_107, half))
  }
}

/// A colour that varies over the image: `base` + `change` · pattern, with the pattern in -1 … 1.
struct ShapePaint {
  enum Pattern: Int, CaseIterable {
    case plain, gradient, stripes, patches
  }

  /// Red, green, blue, 0 … 1.
  let base: SIMD3<Float>
  private let change: SIMD3<Float>
  private let pattern: Pattern
  /// The direction and frequency of the pattern, in radians over the image's side.
  private let wave: SIMD2<Float>
  private let phase: Float

  /// Creates a colour of the given luminance with a random hue, and a pattern that changes it by `strength`.
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

  /// Returns the colour at (x, y), each in -0.5 … 0.5 over the image.
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

  /// Returns a colour of the given luminance: a random one, moved along the grey axis.
  static func colour(
    luminance: Float, saturation: Float, _ random: inout RandomNumbers
  ) -> SIMD3<Float> {
    let colour = SIMD3(random.uniform(), random.uniform(), random.uniform())
    return (colour - Self.luminance(of: colour)) * saturation + luminance
  }

  /// Luminance with the weights of the grayscale augmentation.
  @inline(__always)
  static func luminance(of colour: SIMD3<Float>) -> Float {
    0.2989 * colour.x + 0.587 * colour.y + 0.114 * colour.z
  }
}
