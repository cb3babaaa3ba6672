/// How the two views of an image come about: torchvision's definitions, in this order; a plan's section
/// `augmentation`, whose reading checks the values (docs/plans.md).
///
/// The defaults are those usual for self-supervision on images of 32 x 32.
package struct AugmentationSettings: Sendable, Hashable, Codable {
  /// Share of the image's area that a crop keeps. Default 0.2 … 1.
  package var cropArea: ClosedRange<Float> = 0.2...1
  /// Width over height of a crop. Default 3/4 … 4/3.
  package var cropRatio: ClosedRange<Float> = 0.75...4 / 3
  /// Probability of a horizontal flip. Default 0.5: both directions are alike.
  package var flip: Float = 0.5
  /// Probability that brightness, contrast, saturation and hue change, in random order. Default 0.8.
  package var jitter: Float = 0.8
  /// The factor is drawn from 1 ± this, and never below 0. Default 0.4.
  package var brightness: Float = 0.4
  /// The factor is drawn from 1 ± this, and never below 0. Default 0.4.
  package var contrast: Float = 0.4
  /// The factor is drawn from 1 ± this, and never below 0. Default 0.2.
  package var saturation: Float = 0.2
  /// The turn is drawn from ± this part of the colour wheel, at most 0.5. Default 0.1.
  package var hue: Float = 0.1
  /// Probability of losing all colour. Default 0.2.
  package var grayscale: Float = 0.2
  /// Probability of a Gaussian blur, in the first and in the second view; MoCo v3 has 1, 0.1.
  /// Default 0.5, 0.5.
  package var blur: [Float] = [0.5, 0.5]
  /// Side of the blur's kernel in pixels, odd. Default nil: ``blurKernel(forSize:)`` follows the image.
  package var blurKernel: Int?
  /// Standard deviation of the blur, in pixels. Default 0.1 … 2.
  package var blurSigma: ClosedRange<Float> = 0.1...2
  /// Probability of solarizing the first and the second view. Default 0, 0.2.
  package var solarize: [Float] = [0, 0.2]
  /// Solarizing inverts values from this one on, of 0 … 1. Default 0.5.
  package var solarizeThreshold: Float = 0.5
  /// Subtracted from a value of 0 … 1; one for all channels or one a channel. Default 0.5, the middle.
  package var mean: [Float] = [0.5]
  /// What is left is divided by this; one for all channels or one a channel. Default 0.25, about the
  /// spread of natural images.
  package var deviation: [Float] = [0.25]

  package init() {}

  /// The side of the blur's kernel for images of `size` x `size`: where it is not given, the odd number
  /// nearest to a tenth of that, and at least 3.
  package func blurKernel(forSize size: Int) -> Int {
    blurKernel ?? min(max(2 * (size / 20) + 1, 3), Self.largestKernel(forSize: size))
  }

  /// A blur continues an image by its reflection, which ends one pixel before the image's side.
  package static func largestKernel(forSize size: Int) -> Int { 2 * size - 1 }
}

extension AugmentationSettings {
  /// For training with labels: crops of 0.6 to 1 of the area, and flips. A class survives those, and an
  /// encoder that has learned to overlook more than that needs no more.
  package static func withLabels(mean: [Float], deviation: [Float]) -> AugmentationSettings {
    var settings = AugmentationSettings()
    settings.cropArea = 0.6...1
    (settings.jitter, settings.grayscale) = (0, 0)
    (settings.blur, settings.solarize) = ([0, 0], [0, 0])
    (settings.mean, settings.deviation) = (mean, deviation)
    return settings
  }
}
