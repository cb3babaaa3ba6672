import Engine
import Foundation

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

/// Draws the rectangle of a random resized crop (torchvision's `RandomResizedCrop.get_params`).
package struct CropSampler: Sendable {
  /// Of the image's area.
  package let area: ClosedRange<Float>
  /// Width over height.
  package let ratio: ClosedRange<Float>
  private let logRatio: ClosedRange<Float>

  /// Both ranges are over 0; `area` is a part of 1.
  package init(area: ClosedRange<Float>, ratio: ClosedRange<Float>) {
    self.area = area
    self.ratio = ratio
    logRatio = log(ratio.lowerBound)...log(ratio.upperBound)
  }

  /// A rectangle in an image of `height` x `width`: ten attempts with an area and a ratio at random, and
  /// then the largest central one whose ratio is allowed.
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

/// Where each output position of a resize in one dimension reads, and with which weights: bilinear with
/// antialiasing, as torchvision's `resize` does on tensors (PyTorch's `upsample_bilinear2d_aa`).
///
/// The triangle is one input pixel wide to each side, and wider by the scale when the image shrinks, so
/// that every input pixel counts.
final class ResamplingFilter {
  /// The first input position, per output position.
  let starts: UnsafeMutablePointer<Int>
  /// How many input positions, per output position.
  let counts: UnsafeMutablePointer<Int>
  /// `taps` weights per output position, of which the first `counts` are set; they sum to 1.
  let weights: UnsafeMutablePointer<Float>
  private(set) var taps = 0

  let longestSide: Int

  /// Memory for any input and output of up to `longestSide` positions.
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

  /// Prepares for `input` positions that become `output`.
  func prepare(from input: Int, to output: Int) {
    precondition(
      input > 0 && output > 0 && max(input, output) <= longestSide,
      "from \(input) to \(output) pixels with scratch for \(longestSide)")
    let scale = Float(input) / Float(output)
    let support = max(scale, 1)
    // No more than 2 (support + 1) + 1 positions, so 2 x input + 3 x output weights at most, plus rounding.
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
