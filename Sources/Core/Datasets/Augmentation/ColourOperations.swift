/// Operations on the colours of single pixels (torchvision.transforms.v2.functional, for tensors).
///
/// Where torchvision blends an image with another, the result is clamp(factor · image + (1 - factor) · other, 0, 1).
extension Augmentation {
  /// Luminance with torchvision's weights.
  private static let red: Float = 0.2989
  private static let green: Float = 0.587
  private static let blue: Float = 0.114

  /// `adjust_brightness`: blends with black.
  package static func brightness(_ image: PlanarImage, factor: Float) {
    blend(image.start, count: image.count, factor, with: 0)
  }

  /// `adjust_contrast`: blends with the mean luminance of the image.
  package static func contrast(_ image: PlanarImage, factor: Float) {
    blend(image.start, count: image.count, factor, with: meanLuminance(image))
  }

  /// `adjust_saturation`: blends with the luminance of each pixel; no effect with one channel.
  package static func saturation(_ image: PlanarImage, factor: Float) {
    guard image.isColour else { return }
    let (r, g, b, rest) = (image.plane(0), image.plane(1), image.plane(2), 1 - factor)
    sweep(image.area) { i in
      let (x, y, z) = (Pixels.load(r + i), Pixels.load(g + i), Pixels.load(b + i))
      let grey = (x * red + y * green + z * blue) * rest
      (x * factor + grey).clipped.store(r + i)
      (y * factor + grey).clipped.store(g + i)
      (z * factor + grey).clipped.store(b + i)
    } scalar: { i in
      let grey = (r[i] * red + g[i] * green + b[i] * blue) * rest
      r[i] = min(max(r[i] * factor + grey, 0), 1)
      g[i] = min(max(g[i] * factor + grey, 0), 1)
      b[i] = min(max(b[i] * factor + grey, 0), 1)
    }
  }

  /// `rgb_to_grayscale` with three output channels; no effect with one channel.
  package static func grayscale(_ image: PlanarImage) {
    guard image.isColour else { return }
    let (r, g, b) = (image.plane(0), image.plane(1), image.plane(2))
    sweep(image.area) { i in
      let grey = Pixels.load(r + i) * red + Pixels.load(g + i) * green + Pixels.load(b + i) * blue
      grey.store(r + i)
      grey.store(g + i)
      grey.store(b + i)
    } scalar: { i in
      let grey = r[i] * red + g[i] * green + b[i] * blue
      r[i] = grey
      g[i] = grey
      b[i] = grey
    }
  }

  /// `solarize`: inverts values at or above the threshold.
  package static func solarize(_ image: PlanarImage, threshold: Float) {
    let start = image.start
    sweep(image.count) { i in
      let x = Pixels.load(start + i)
      x.replacing(with: 1 - x, where: x .>= threshold).store(start + i)
    } scalar: { i in
      if start[i] >= threshold { start[i] = 1 - start[i] }
    }
  }

  /// `horizontal_flip`: mirrors every row.
  package static func horizontalFlip(_ image: PlanarImage) {
    for y in 0..<image.channels * image.height {
      let row = image.start + y * image.width
      for x in 0..<image.width / 2 {
        let mirrored = image.width - 1 - x
        (row[x], row[mirrored]) = (row[mirrored], row[x])
      }
    }
  }

  @inline(__always)
  private static func blend(
    _ start: UnsafeMutablePointer<Float>, count: Int, _ factor: Float, with other: Float
  ) {
    let offset = (1 - factor) * other
    sweep(count) { i in
      (Pixels.load(start + i) * factor + offset).clipped.store(start + i)
    } scalar: { i in
      start[i] = min(max(start[i] * factor + offset, 0), 1)
    }
  }

  /// The luminance is linear, so its mean is computed from the means of the planes.
  private static func meanLuminance(_ image: PlanarImage) -> Float {
    func mean(_ channel: Int) -> Float {
      let plane = image.plane(channel)
      var (sums, rest) = (Pixels.zero, Float(0))
      sweep(image.area) {
        sums += Pixels.load(plane + $0)
      } scalar: {
        rest += plane[$0]
      }
      return (sums.sum() + rest) / Float(image.area)
    }
    return image.isColour ? mean(0) * red + mean(1) * green + mean(2) * blue : mean(0)
  }

  /// Calls `vector` with the start of each whole vector of `count` floats, then `scalar` with each remaining index.
  @inline(__always)
  static func sweep(_ count: Int, vector: (Int) -> Void, scalar: (Int) -> Void) {
    var i = 0
    while i &+ Pixels.scalarCount <= count {
      vector(i)
      i &+= Pixels.scalarCount
    }
    while i < count {
      scalar(i)
      i &+= 1
    }
  }
}

extension Augmentation {
  /// `adjust_hue`: rotates the hue by `factor` of the colour circle, -0.5 … 0.5; saturation and value stay. No effect
  /// with one channel.
  ///
  /// torchvision converts to HSV and selects a sextant. This computes each channel from the value v, the chroma c and
  /// the hue h in sextants, as v - c · clamp(min(k, 4 - k), 0, 1), k = (n + h) mod 6 and n = 5, 3, 1, which gives the
  /// same colour without branches.
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
    // Without chroma the hue has no effect, but the divisor must not be 0.
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

  /// Reduces h from -6 … 12 to 0 … 6.
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

/// An unowned view of an image of floats in 0 … 1, planar [C, H, W].
///
/// It is valid only as long as the memory it views. Operations work in place unless documented otherwise.
package struct PlanarImage {
  /// Element (c, y, x) is `start[(c · H + y) · W + x]`.
  package let start: UnsafeMutablePointer<Float>
  /// C, 1 or 3.
  package let channels: Int
  /// H, in pixels.
  package let height: Int
  /// W, in pixels.
  package let width: Int

  /// Creates a view of C·H·W floats that the caller owns.
  @inline(__always)
  package init(_ start: UnsafeMutablePointer<Float>, channels: Int, height: Int, width: Int) {
    self.start = start
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// The number of pixels of a plane: H x W.
  package var area: Int { height * width }
  /// The number of values of the image: C x H x W.
  package var count: Int { channels * area }
  /// Whether the image has colour: three channels.
  var isColour: Bool { channels == 3 }

  @inline(__always)
  func plane(_ channel: Int) -> UnsafeMutablePointer<Float> { start + channel * area }
}

/// The vector type of the loops over pixels.
typealias Pixels = SIMD8<Float>

extension Pixels {
  @inline(__always)
  static func load(_ pointer: UnsafePointer<Float>) -> Pixels {
    UnsafeRawPointer(pointer).loadUnaligned(as: Pixels.self)
  }

  @inline(__always)
  func store(_ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: self, as: Pixels.self)
  }

  @inline(__always)
  static func smaller(_ a: Pixels, _ b: Pixels) -> Pixels { a.replacing(with: b, where: b .< a) }

  @inline(__always)
  static func larger(_ a: Pixels, _ b: Pixels) -> Pixels { a.replacing(with: b, where: a .< b) }

  /// Clamped to 0 … 1.
  @inline(__always)
  var clipped: Pixels {
    Pixels.smaller(Pixels.larger(self, .zero), Pixels(repeating: 1))
  }
}
