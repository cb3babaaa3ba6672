import Datasets
import Engine
import Testing

/// Compares the branchless hue with the textbook conversion to HSV and back, in double precision.
@Suite struct HueTests {
  private func turned(_ rgb: [Double], by factor: Double) -> [Double] {
    let (r, g, b) = (rgb[0], rgb[1], rgb[2])
    let (value, least) = (max(r, g, b), min(r, g, b))
    guard value > least else { return rgb }
    let chroma = value - least
    var hue =
      value == r ? (g - b) / chroma : value == g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma
    hue = (hue / 6 + factor + 2).truncatingRemainder(dividingBy: 1) * 6
    let (sextant, part, saturation) = (Int(hue), hue - hue.rounded(.down), chroma / value)
    let p = value * (1 - saturation)
    let q = value * (1 - saturation * part)
    let t = value * (1 - saturation * (1 - part))
    return [[value, t, p], [q, value, p], [p, value, t], [p, q, value], [t, p, value], [value, p, q]][sextant]
  }

  @Test(arguments: [-0.5, -0.1, 0, 0.04, 0.31, 0.5])
  func agreesWithTheTextbook(factor: Double) {
    // Greys, primaries and ties of two channels are at the borders of sextants.
    let levels: [Float] = [0, 0.25, 0.5, 1]
    var pixels = levels.flatMap { r in levels.flatMap { g in levels.map { b in [r, g, b] } } }
    var random = RandomNumbers(11)
    pixels += (0..<57).map { _ in [random.uniform(), random.uniform(), random.uniform()] }
    let planar = (0..<3).flatMap { channel in pixels.map { $0[channel] } }
    let got = Augmentation.apply(
      .hue(factor: Float(factor)), to: planar, channels: 3, height: 1, width: pixels.count)
    for (index, pixel) in pixels.enumerated() {
      let expected = turned(pixel.map(Double.init), by: Double(Float(factor)))
      for channel in 0..<3 {
        let error = abs(Double(got[channel * pixels.count + index]) - expected[channel])
        #expect(error < 1e-5, "\(pixel) turned by \(factor), channel \(channel)")
      }
    }
  }
}
