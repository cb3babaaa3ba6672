/// The elementary operations on images of floats in 0 … 1, as torchvision defines them for tensors.
///
/// The functions work on views and allocate nothing; what they need beside the image comes from an
/// ``AugmentationScratch``.
package enum Augmentation {
  /// An operation with its choices made, for a caller that has an image as an array.
  package enum Operation: Sendable, Hashable {
    /// By torchvision's factor, like the next two: 1 changes nothing.
    case brightness(factor: Float)
    case contrast(factor: Float)
    case saturation(factor: Float)
    /// Turned by a part of the colour circle, -0.5 … 0.5.
    case hue(factor: Float)
    case grayscale
    case horizontalFlip
    case solarize(threshold: Float)
    /// Kernel and sigma in pixels.
    case gaussianBlur(kernel: Int, sigma: Float)
    /// A rectangle in pixels, scaled to size x size.
    case resizedCrop(top: Int, left: Int, height: Int, width: Int, size: Int)
  }

  /// A copy of the image after the operation: [C, H, W], or [C, size, size] after a resized crop.
  ///
  /// It allocates its own scratch: right for tests and conformance, not for training.
  package static func apply(
    _ operation: Operation, to image: [Float], channels: Int, height: Int, width: Int
  ) -> [Float] {
    precondition(
      image.count == channels * height * width,
      "\(image.count) numbers for \(channels) x \(height) x \(width)")
    var copy = image
    return copy.withUnsafeMutableBufferPointer { buffer in
      let view = PlanarImage(buffer.baseAddress!, channels: channels, height: height, width: width)
      guard case .resizedCrop(let top, let left, let cropHeight, let cropWidth, let size) = operation else {
        let scratch = AugmentationScratch(channels: channels, longestSide: max(height, width))
        apply(operation, to: view, scratch)
        return Array(buffer)
      }
      let scratch = AugmentationScratch(channels: channels, longestSide: max(height, width, size))
      let count = channels * size * size
      return [Float](unsafeUninitializedCapacity: count) { output, initialized in
        output.initialize(repeating: 0)
        let target = PlanarImage(output.baseAddress!, channels: channels, height: size, width: size)
        let crop = Crop(top: top, left: left, height: cropHeight, width: cropWidth)
        resizedCrop(view, crop, into: target, scratch: scratch)
        initialized = count
      }
    }
  }

  private static func apply(
    _ operation: Operation, to image: PlanarImage, _ scratch: AugmentationScratch
  ) {
    switch operation {
    case .brightness(let factor): brightness(image, factor: factor)
    case .contrast(let factor): contrast(image, factor: factor)
    case .saturation(let factor): saturation(image, factor: factor)
    case .hue(let factor): hue(image, factor: factor)
    case .grayscale: grayscale(image)
    case .horizontalFlip: horizontalFlip(image)
    case .solarize(let threshold): solarize(image, threshold: threshold)
    case .gaussianBlur(let kernel, let sigma):
      gaussianBlur(image, kernel: kernel, sigma: sigma, scratch: scratch)
    case .resizedCrop: preconditionFailure("a resized crop does not work in place")
    }
  }
}
