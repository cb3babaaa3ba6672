/// The ten classes of the built-in images; the raw value is the label.
package enum ShapeClass: Int, Sendable, CaseIterable {
  case disc, ring, square, triangle, cross, star, crescent, bars, checker, heart

  /// The signed distance from (x, y) to the shape, negative inside; the shape fills about the unit disc.
  ///
  /// `line` is the width of its lines, 1 in the middle of its range. The distance is exact near straight
  /// edges and good enough for antialiasing elsewhere.
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

  /// A five-pointed star with tips at distance 1 and notches at distance `inner`.
  ///
  /// Folding over its mirror lines leaves half a point, whose outline is a single edge.
  @inline(__always)
  private static func star(_ x: Float, _ y: Float, inner: Float) -> Float {
    // sin 36° and cos 36°.
    let (sine, cosine): (Float, Float) = (0.587_785, 0.809_017)
    var (x, y) = (abs(x), y)
    let right = 2 * max(cosine * x - sine * y, 0)
    (x, y) = (x - cosine * right, y + sine * right)
    let left = 2 * max(-cosine * x - sine * y, 0)
    (x, y) = (abs(x + cosine * left), y + sine * left)
    // The edge runs from the tip (0, 1) to the notch 36° further.
    let (edgeX, edgeY) = (sine * inner, cosine * inner - 1)
    return (edgeX * (y - 1) - edgeY * x) / (edgeX * edgeX + edgeY * edgeY).squareRoot()
  }

  /// A square on its corner and a disc on each of its upper sides; x is not negative.
  @inline(__always)
  private static func heart(_ x: Float, _ y: Float) -> Float {
    let half: Float = 0.5
    let y = y + 0.1
    let square = max(abs(x + y), abs(x - y)) * 0.707_107 - half
    return min(square, disc(x - half * 0.707_107, y - half * 0.707_107, half))
  }
}
