/// The settings for the two augmented views of an image, defined as in torchvision and applied in this order. They are
/// the section `augmentation` of a plan, whose reader checks the values (docs/plans.md).
///
/// The defaults are usual for self-supervision on images of 32 x 32.
package struct AugmentationSettings: Sendable, Hashable, Codable {
  /// The share of the image's area that a crop covers. Default 0.2 … 1.
  package var cropArea: ClosedRange<Float> = 0.2...1
  /// The width of a crop divided by its height. Default 3/4 … 4/3.
  package var cropRatio: ClosedRange<Float> = 0.75...4 / 3
  /// The zeros, in pixels, with which each side of the normalised image is padded; a view is then a random
  /// crop of the padded image, without scaling, instead of a random resized crop (arXiv 1512.03385, section
  /// 4.2, with 4 pixels on images of 32). ``cropArea`` and ``cropRatio`` have no effect then. The padding
  /// takes part in the operations that follow, so it is 0 unless these change the mean colour. Default 0: a
  /// random resized crop.
  package var padding = 0
  /// The probability of a horizontal flip. Default 0.5, which makes both directions equally likely.
  package var flip: Float = 0.5
  /// The probability that brightness, contrast, saturation and hue change, in random order. Default 0.8.
  package var jitter: Float = 0.8
  /// The factor is drawn from 1 ± this value and is at least 0. Default 0.4.
  package var brightness: Float = 0.4
  /// The factor is drawn from 1 ± this value and is at least 0. Default 0.4.
  package var contrast: Float = 0.4
  /// The factor is drawn from 1 ± this value and is at least 0. Default 0.2.
  package var saturation: Float = 0.2
  /// The rotation is drawn from ± this share of the colour wheel, at most 0.5. Default 0.1.
  package var hue: Float = 0.1
  /// The probability of conversion to grey. Default 0.2.
  package var grayscale: Float = 0.2
  /// The probability of a Gaussian blur in the first and in the second view; MoCo v3 uses 1, 0.1. Default 0.5, 0.5.
  package var blur: [Float] = [0.5, 0.5]
  /// The side of the blur kernel in pixels, odd. Default nil: ``blurKernel(forSize:)`` derives it from the image size.
  package var blurKernel: Int?
  /// The standard deviation of the blur in pixels. Default 0.1 … 2.
  package var blurSigma: ClosedRange<Float> = 0.1...2
  /// The probability of solarization in the first and in the second view. Default 0, 0.2.
  package var solarize: [Float] = [0, 0.2]
  /// Solarization inverts values at or above this threshold, in 0 … 1. Default 0.5.
  package var solarizeThreshold: Float = 0.5
  /// The mean subtracted from values in 0 … 1; one for all channels or one per channel. Default 0.5, the middle.
  package var mean: [Float] = [0.5]
  /// The divisor applied after the mean is subtracted; one for all channels or one per channel. Default 0.25, about the
  /// standard deviation of natural images.
  package var deviation: [Float] = [0.25]

  /// Local views of each image in addition to the two. Default none.
  package var crops: LocalCrops?

  package init() {}

  /// Returns the side of the blur kernel for images of `size` x `size`. Without ``blurKernel`` it is the odd number
  /// nearest to a tenth of the size, and at least 3.
  package func blurKernel(forSize size: Int) -> Int {
    blurKernel ?? min(max(2 * (size / 20) + 1, 3), Self.largestKernel(forSize: size))
  }

  /// Returns the largest possible kernel. A blur extends an image by reflection, which ends one pixel before the
  /// image's side.
  package static func largestKernel(forSize size: Int) -> Int { 2 * size - 1 }
}

/// Local views of an image (multi-crop, SwAV, arXiv 2006.09882): small random resized crops, with the operations of first
/// views.
package struct LocalCrops: Sendable, Hashable, Codable {
  /// The number of local views of an image in a step. No default.
  package var count: Int
  /// The side of a local view in pixels. No default.
  package var size: Int
  /// The share of the image's area that a local crop covers. Default 0.05 … 0.2: it ends where that of whole views
  /// begins.
  package var area: ClosedRange<Float>

  package init(count: Int, size: Int, area: ClosedRange<Float> = 0.05...0.2) {
    (self.count, self.size, self.area) = (count, size, area)
  }
}

extension AugmentationSettings {
  /// The settings of local views; nil without any.
  var local: AugmentationSettings? {
    guard let crops else { return nil }
    var settings = self
    (settings.crops, settings.padding, settings.cropArea) = (nil, 0, crops.area)
    settings.blurKernel = blurKernel.map { min($0, Self.largestKernel(forSize: crops.size)) }
    return settings
  }

  /// Returns settings for training with labels: crops of 0.6 to 1 of the area, and flips. These preserve the class;
  /// with labels, an encoder needs no invariance to stronger changes.
  package static func withLabels(mean: [Float], deviation: [Float]) -> AugmentationSettings {
    var settings = AugmentationSettings()
    settings.cropArea = 0.6...1
    (settings.jitter, settings.grayscale) = (0, 0)
    (settings.blur, settings.solarize) = ([0, 0], [0, 0])
    (settings.mean, settings.deviation) = (mean, deviation)
    return settings
  }
}
