import Engine
import Foundation

/// Everything that was drawn for one built-in image, except the noise of its pixels.
///
/// Only the shape depends on the class. Lengths are parts of the image's side, positions -0.5 … 0.5.
struct ShapeScene {
  /// A round spot on the background, to distract.
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
  /// Cosine and sine of the rotation.
  let turn: SIMD2<Float>
  /// Width over height of the stretched shape, as a factor for each direction.
  let stretch: SIMD2<Float>
  let line: Float
  let foreground: ShapePaint
  let background: ShapePaint
  let spots: [Spot]
  /// Largest change of a pixel's channel by noise.
  let noise: Float

  init(_ shape: ShapeClass, _ random: inout RandomNumbers) {
    self.shape = shape
    radius = random.uniform(0.26, 0.42)
    // A shape may lose a little over the edge, never its middle.
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

  /// The colour at (x, y) without noise; `pixel` is the side of a pixel, over which edges are softened.
  @inline(__always)
  func colour(_ px: Float, _ py: Float, pixel: Float) -> SIMD3<Float> {
    let (dx, dy) = ((px - x) / radius, (py - y) / radius)
    // Images count rows downwards, shapes have their top upwards.
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

  /// How much of a pixel at this distance from an edge is inside.
  @inline(__always)
  private func coverage(_ distance: Float, _ pixel: Float) -> Float {
    min(max(0.5 - distance / pixel, 0), 1)
  }
}
