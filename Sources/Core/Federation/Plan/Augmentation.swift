extension Plan {
  /// How the two views of an image come about: torchvision's definitions, in this order.
  ///
  /// The defaults are those usual for self-supervision on images of 32 x 32.
  package struct Augmentation: Sendable, Hashable, Codable {
    /// Share of the image's area that a crop keeps. Default 0.2 … 1.
    package var cropArea: ClosedRange<Float> = 0.2...1
    /// Width over height of a crop. Default 3/4 … 4/3.
    package var cropRatio: ClosedRange<Float> = 0.75...1.3333334
    /// Probability of a horizontal flip. Default 0.5: both directions are alike.
    package var flip: Float = 0.5
    /// Probability of the colour jitter. Default 0.8.
    package var jitter: Float = 0.8
    /// Brightness is scaled by 1 ± this. Default 0.4.
    package var brightness: Float = 0.4
    /// Contrast is scaled by 1 ± this. Default 0.4.
    package var contrast: Float = 0.4
    /// Saturation is scaled by 1 ± this. Default 0.2.
    package var saturation: Float = 0.2
    /// The hue turns by ± this, in turns of the colour wheel. Default 0.1.
    package var hue: Float = 0.1
    /// Probability of losing all colour. Default 0.2.
    package var grayscale: Float = 0.2
    /// Probability of a Gaussian blur, in the first and in the second view. Default 0.5, 0.5.
    package var blur: [Float] = [0.5, 0.5]
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
  }
}
