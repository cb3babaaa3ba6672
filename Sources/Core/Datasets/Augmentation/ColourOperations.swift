/// Operations on colours, each pixel by itself (torchvision.transforms.v2.functional, for tensors).
///
/// Wherever torchvision blends an image with another, the result is
/// clamp(factor · image + (1 - factor) · other, 0, 1).
extension Augmentation {
  /// Luminance as torchvision weighs it.
  private static let red: Float = 0.2989
  private static let green: Float = 0.587
  private static let blue: Float = 0.114

  /// `adjust_brightness`: blends with black.
  package static func brightness(_ image: PlanarImage, factor: Float) {
    blend(image.start, count: image.count, factor, with: 0)
  }

  /// `adjust_contrast`: blends with the mean of the image's luminance.
  package static func contrast(_ image: PlanarImage, factor: Float) {
    blend(image.start, count: image.count, factor, with: meanLuminance(image))
  }

  /// `adjust_saturation`: blends with the luminance of each pixel; nothing with one channel.
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

  /// `rgb_to_grayscale`, kept in three channels; nothing with one channel.
  package static func grayscale(_ image: PlanarImage) {
    guard image.isColour else { return }
    let (r, g, b) = (image.plane(0), image.plane(1), image.plane(2))
    for i in 0..<image.area {
      let grey = r[i] * red + g[i] * green + b[i] * blue
      r[i] = grey
      g[i] = grey
      b[i] = grey
    }
  }

  /// `solarize`: inverts what is at or over the threshold.
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

  /// The luminance is linear, so its mean is that of the planes' means.
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

  /// Calls `vector` with the start of each whole vector of `count` floats, then `scalar` with what is left.
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
