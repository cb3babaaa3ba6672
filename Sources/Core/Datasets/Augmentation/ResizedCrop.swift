/// A rectangle of an image, in pixels.
package struct Crop: Sendable, Hashable {
  /// The first row.
  package let top: Int
  /// The first column.
  package let left: Int
  /// How many rows.
  package let height: Int
  /// How many columns.
  package let width: Int

  /// Whether it lies inside an image is checked where it is used.
  package init(top: Int, left: Int, height: Int, width: Int) {
    self.top = top
    self.left = left
    self.height = height
    self.width = width
  }
}

extension Augmentation {
  /// `resized_crop` with bilinear interpolation and antialiasing: the crop of `image`, scaled to the size of
  /// `target`, which must not overlap it and has as many channels. The crop lies inside the image.
  package static func resizedCrop(
    _ image: PlanarImage, _ crop: Crop, into target: PlanarImage, scratch: AugmentationScratch
  ) {
    precondition(
      crop.top >= 0 && crop.left >= 0 && crop.height > 0 && crop.width > 0
        && crop.top + crop.height <= image.height && crop.left + crop.width <= image.width,
      "\(crop) of \(image.height) x \(image.width)")
    precondition(target.channels == image.channels, "\(image.channels) channels into \(target.channels)")
    let (horizontal, vertical) = (scratch.horizontal, scratch.vertical)
    horizontal.prepare(from: crop.width, to: target.width)
    vertical.prepare(from: crop.height, to: target.height)
    for channel in 0..<image.channels {
      let corner = image.plane(channel) + crop.top * image.width + crop.left
      for y in 0..<crop.height {
        resample(
          corner + y * image.width, horizontal, into: scratch.plane + y * target.width, count: target.width)
      }
      for y in 0..<target.height {
        let row = target.plane(channel) + y * target.width
        let source = scratch.plane + vertical.starts[y] * target.width
        let weights = vertical.weights + y * vertical.taps
        for tap in 0..<vertical.counts[y] {
          accumulate(
            source + tap * target.width, weights[tap], into: row, count: target.width, isFirst: tap == 0)
        }
      }
    }
  }

  @inline(__always)
  private static func resample(
    _ row: UnsafePointer<Float>, _ filter: ResamplingFilter, into target: UnsafeMutablePointer<Float>,
    count: Int
  ) {
    let (starts, counts, taps) = (filter.starts, filter.counts, filter.taps)
    for x in 0..<count {
      let source = row + starts[x]
      let weights = filter.weights + x * taps
      var sum = source[0] * weights[0]
      for tap in 1..<max(counts[x], 1) { sum += source[tap] * weights[tap] }
      target[x] = sum
    }
  }
}
