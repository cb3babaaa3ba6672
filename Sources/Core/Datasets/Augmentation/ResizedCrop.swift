import Engine
import Foundation

/// A rectangle of an image, in pixels.
package struct Crop: Sendable, Hashable {
  /// The first row.
  package let top: Int
  /// The first column.
  package let left: Int
  /// The number of rows.
  package let height: Int
  /// The number of columns.
  package let width: Int

  /// Creates a crop. Operations that use it check that it lies inside the image.
  package init(top: Int, left: Int, height: Int, width: Int) {
    self.top = top
    self.left = left
    self.height = height
    self.width = width
  }
}

extension Augmentation {
  /// `resized_crop` with bilinear interpolation and antialiasing: scales the crop of `image` to the size of `target`,
  /// which must not overlap the image and has the same number of channels. The crop lies inside the image.
  package static func resizedCrop(
    _ image: PlanarImage, _ crop: Crop, into target: PlanarImage, scratch: AugmentationScratch
  ) {
    let shape = ImageShape(channels: image.channels, height: image.height, width: image.width)
    resize(crop, of: shape, into: target, isMirrored: false, scratch) { channel, y, place in
      let row = image.plane(channel) + (crop.top + y) * image.width + crop.left
      for x in 0..<crop.width { place[SeparableResize.lanes * x] = row[x] }
    }
  }

  /// The same for an image of bytes, whose values are bytes / 255, without a copy of it as floats. If `isMirrored`, the
  /// result is flipped horizontally as well.
  static func resizedCrop(
    _ image: ImageBytes, _ crop: Crop, isMirrored: Bool, into target: PlanarImage,
    scratch: AugmentationScratch
  ) {
    let (pixels, levels) = (image.pixels, scratch.levels)
    resize(crop, of: image.shape, into: target, isMirrored: isMirrored, scratch) { channel, y, place in
      let row = pixels.row(channel, crop.top + y) + crop.left
      for x in 0..<crop.width { place[SeparableResize.lanes * x] = levels[Int(row[x])] }
    }
  }

  /// Resizes a crop whose rows `write(channel, y, place)` writes with a stride of ``SeparableResize/lanes``.
  @inline(__always)
  private static func resize(
    _ crop: Crop, of image: ImageShape, into target: PlanarImage, isMirrored: Bool,
    _ scratch: AugmentationScratch, _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
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
      SeparableResize.narrow(
        rows: crop.height, horizontal, width: target.width, isMirrored: isMirrored, into: scratch.plane,
        scratch.tile
      ) { write(channel, $0, $1) }
      for y in 0..<target.height {
        SeparableResize.shorten(
          scratch.plane, vertical, row: y, width: target.width,
          into: target.plane(channel) + y * target.width)
      }
    }
  }
}

/// Draws the rectangle of a random resized crop (torchvision's `RandomResizedCrop.get_params`).
package struct CropSampler: Sendable {
  /// The range of the crop's share of the image's area.
  package let area: ClosedRange<Float>
  /// The range of width over height.
  package let ratio: ClosedRange<Float>
  private let logRatio: ClosedRange<Float>

  /// Creates a sampler. Both ranges are above 0; `area` is at most 1.
  package init(area: ClosedRange<Float>, ratio: ClosedRange<Float>) {
    self.area = area
    self.ratio = ratio
    logRatio = log(ratio.lowerBound)...log(ratio.upperBound)
  }

  /// Returns a rectangle in an image of `height` x `width`: makes ten attempts with a random area and ratio, then takes
  /// the largest central rectangle with an allowed ratio.
  package func draw(height: Int, width: Int, _ random: inout RandomNumbers) -> Crop {
    for _ in 0..<10 {
      let area = Float(height * width) * random.uniform(area.lowerBound, area.upperBound)
      let ratio = exp(random.uniform(logRatio.lowerBound, logRatio.upperBound))
      let w = Int((area * ratio).squareRoot().rounded(.toNearestOrEven))
      let h = Int((area / ratio).squareRoot().rounded(.toNearestOrEven))
      if w > 0 && w <= width && h > 0 && h <= height {
        return Crop(
          top: random.below(height - h + 1), left: random.below(width - w + 1), height: h, width: w)
      }
    }
    return central(height: height, width: width)
  }

  private func central(height: Int, width: Int) -> Crop {
    let whole = Float(width) / Float(height)
    var (h, w) = (height, width)
    if whole < ratio.lowerBound {
      h = max(Int((Float(width) / ratio.lowerBound).rounded(.toNearestOrEven)), 1)
    } else if whole > ratio.upperBound {
      w = max(Int((Float(height) * ratio.upperBound).rounded(.toNearestOrEven)), 1)
    }
    return Crop(top: (height - h) / 2, left: (width - w) / 2, height: h, width: w)
  }
}

/// The input positions and weights of each output position of a resize in one dimension: bilinear with antialiasing, as
/// in torchvision's `resize` for tensors (PyTorch's `upsample_bilinear2d_aa`).
///
/// The triangle filter extends one input pixel to each side, and is scaled up when the image shrinks, so that every
/// input pixel contributes.
final class ResamplingFilter {
  /// The first input position of each output position.
  let starts: UnsafeMutablePointer<Int>
  /// The number of input positions of each output position.
  let counts: UnsafeMutablePointer<Int>
  /// `taps` weights per output position; the first `counts` of them are set and sum to 1.
  let weights: UnsafeMutablePointer<Float>
  private(set) var taps = 0
  /// The number of input positions of the last ``prepare(from:to:)``.
  private(set) var inputs = 0

  let longestSide: Int

  /// Allocates memory for inputs and outputs of up to `longestSide` positions.
  init(longestSide: Int) {
    self.longestSide = longestSide
    starts = .allocate(capacity: longestSide)
    counts = .allocate(capacity: longestSide)
    weights = .allocate(capacity: 6 * longestSide)
  }

  deinit {
    starts.deallocate()
    counts.deallocate()
    weights.deallocate()
  }

  /// Computes the weights for a resize from `input` to `output` positions.
  func prepare(from input: Int, to output: Int) {
    precondition(
      input > 0 && output > 0 && max(input, output) <= longestSide,
      "from \(input) to \(output) pixels with scratch for \(longestSide)")
    inputs = input
    let scale = Float(input) / Float(output)
    let support = max(scale, 1)
    // At most 2 (support + 1) + 1 positions, so at most 2 x input + 3 x output weights, plus rounding.
    taps = min(2 * Int(support.rounded(.up)) + 1, input)
    precondition(taps * output <= 6 * longestSide, "\(taps) weights for \(output) positions")
    for position in 0..<output {
      let centre = scale * (Float(position) + 0.5)
      let start = max(Int(centre - support + 0.5), 0)
      let count = min(min(Int(centre + support + 0.5), input) - start, taps)
      let row = weights + position * taps
      var sum: Float = 0
      for tap in 0..<count {
        row[tap] = max(1 - abs(Float(tap + start) - centre + 0.5) / support, 0)
        sum += row[tap]
      }
      for tap in 0..<count { row[tap] /= sum }
      starts[position] = start
      counts[position] = count
    }
  }
}
