import Engine
import Foundation

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
