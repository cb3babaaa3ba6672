extension Augmentation {
  /// `adjust_hue`: turns the hue by `factor` of the colour circle, -0.5 … 0.5; saturation and value stay.
  /// Nothing with one channel.
  ///
  /// torchvision goes through HSV and picks a sextant; here each channel is computed from the value v, the
  /// chroma c and the hue h in sextants, as v - c · clamp(min(k, 4 - k), 0, 1), k = (n + h) mod 6 and
  /// n = 5, 3, 1, which is the same colour without branches.
  package static func hue(_ image: PlanarImage, factor: Float) {
    precondition(abs(factor) <= 0.5, "a hue turned by \(factor), where -0.5 to 0.5 is possible")
    guard image.isColour else { return }
    let (r, g, b, turn) = (image.plane(0), image.plane(1), image.plane(2), factor * 6)
    sweep(image.area) { i in
      let colour = turned(Pixels.load(r + i), Pixels.load(g + i), Pixels.load(b + i), by: turn)
      colour.r.store(r + i)
      colour.g.store(g + i)
      colour.b.store(b + i)
    } scalar: { i in
      let colour = turned(
        Pixels(repeating: r[i]), Pixels(repeating: g[i]), Pixels(repeating: b[i]), by: turn)
      r[i] = colour.r[0]
      g[i] = colour.g[0]
      b[i] = colour.b[0]
    }
  }

  @inline(__always)
  private static func turned(
    _ r: Pixels, _ g: Pixels, _ b: Pixels, by turn: Float
  ) -> (r: Pixels, g: Pixels, b: Pixels) {
    let value = Pixels.larger(Pixels.larger(r, g), b)
    let chroma = value - Pixels.smaller(Pixels.smaller(r, g), b)
    // Without chroma the hue does not matter, but the division must.
    let divisor = chroma.replacing(with: 1, where: chroma .== 0)
    let fromBlue = (r - g) / divisor + 4
    let fromGreen = (b - r) / divisor + 2
    let fromRed = (g - b) / divisor
    let hue = fromBlue.replacing(with: fromGreen, where: value .== g)
      .replacing(with: fromRed, where: value .== r)
    let turned = wrapped(hue + turn)
    return (
      channel(5, turned, value, chroma), channel(3, turned, value, chroma), channel(1, turned, value, chroma)
    )
  }

  /// h of -6 … 12 brought to 0 … 6.
  @inline(__always)
  private static func wrapped(_ h: Pixels) -> Pixels {
    let h = h.replacing(with: h + 6, where: h .< 0)
    return h.replacing(with: h - 6, where: h .>= 6)
  }

  @inline(__always)
  private static func channel(_ n: Float, _ hue: Pixels, _ value: Pixels, _ chroma: Pixels) -> Pixels {
    let k = wrapped(hue + n)
    return (value - chroma * Pixels.smaller(k, 4 - k).clipped).clipped
  }
}
