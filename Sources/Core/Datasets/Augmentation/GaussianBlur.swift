import Foundation

extension Augmentation {
  /// `gaussian_blur` with a kernel of `kernel` x `kernel`, an odd number, and the same sigma in both directions, in
  /// pixels. The image is extended by reflection without repeating its edge.
  ///
  /// The kernel is separable: rows are filtered, then columns. `kernel / 2` must be less than the image's sides.
  package static func gaussianBlur(
    _ image: PlanarImage, kernel: Int, sigma: Float, scratch: AugmentationScratch
  ) {
    let reach = kernel / 2
    precondition(kernel >= 1 && kernel % 2 == 1 && sigma > 0, "a blur of kernel \(kernel), sigma \(sigma)")
    precondition(
      reach < min(image.height, image.width) && max(image.height, image.width) <= scratch.longestSide,
      "a blur of kernel \(kernel) of \(image.height) x \(image.width)")
    let weights = scratch.kernel
    fill(weights, kernel: kernel, sigma: sigma)
    for channel in 0..<image.channels {
      let plane = image.plane(channel)
      blurRows(of: plane, image, weights, reach, scratch)
      blurColumns(into: plane, image, weights, reach, scratch)
    }
  }

  /// Blurs the columns of `scratch.plane` into `plane`, row by row.
  private static func blurColumns(
    into plane: UnsafeMutablePointer<Float>, _ image: PlanarImage, _ weights: UnsafePointer<Float>,
    _ reach: Int, _ scratch: AugmentationScratch
  ) {
    let (width, height, taps) = (image.width, image.height, 2 * reach + 1)
    for y in 0..<height {
      let target = plane + y * width
      if y >= reach && y < height - reach {
        let first = UnsafePointer(scratch.plane + (y - reach) * width)
        SeparableResize.combine(taps, weights, count: width, into: target) { first + $0 * width }
      } else {
        SeparableResize.combine(taps, weights, count: width, into: target) {
          UnsafePointer(scratch.plane + reflected(y + $0 - reach, height) * width)
        }
      }
    }
  }

  /// Blurs the rows of `plane` into `scratch.plane`.
  private static func blurRows(
    of plane: UnsafePointer<Float>, _ image: PlanarImage, _ weights: UnsafePointer<Float>, _ reach: Int,
    _ scratch: AugmentationScratch
  ) {
    let (row, width) = (scratch.row, image.width)
    for y in 0..<image.height {
      let source = plane + y * width
      (row + reach).update(from: source, count: width)
      for x in 0..<reach {
        row[x] = source[reach - x]
        row[reach + width + x] = source[width - 2 - x]
      }
      SeparableResize.combine(2 * reach + 1, weights, count: width, into: scratch.plane + y * width) {
        UnsafePointer(row + $0)
      }
    }
  }

  /// Fills torchvision's one-dimensional kernel: e^(-x² / 2σ²) at integer offsets, normalised to sum 1.
  private static func fill(_ weights: UnsafeMutablePointer<Float>, kernel: Int, sigma: Float) {
    var sum: Float = 0
    for tap in 0..<kernel {
      let distance = Float(tap - kernel / 2) / sigma
      weights[tap] = exp(-0.5 * distance * distance)
      sum += weights[tap]
    }
    for tap in 0..<kernel { weights[tap] /= sum }
  }

  @inline(__always)
  private static func reflected(_ position: Int, _ count: Int) -> Int {
    position < 0 ? -position : position >= count ? 2 * (count - 1) - position : position
  }
}
