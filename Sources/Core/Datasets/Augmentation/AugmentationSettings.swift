/// How training images are altered at random; the defaults are for 32 x 32 (docs/method.md).
///
/// Lists with a value per view hold two. Decoding takes the default for what is not given, and refuses what
/// is not a setting.
package struct AugmentationSettings: Sendable, Hashable, Codable {
  /// Smallest and largest area of a random resized crop, as a part of the image's.
  package var cropArea = [0.2, 1]
  /// Smallest and largest width over height of a crop.
  package var cropRatio = [3.0 / 4, 4.0 / 3]
  /// Probability of a horizontal flip.
  package var flipProbability = 0.5
  /// Probability that brightness, contrast, saturation and hue change, in random order.
  package var jitterProbability = 0.8
  /// The factor is drawn from 1 ± this, and never below 0.
  package var brightness = 0.4
  /// The factor is drawn from 1 ± this, and never below 0.
  package var contrast = 0.4
  /// The factor is drawn from 1 ± this, and never below 0.
  package var saturation = 0.2
  /// The turn is drawn from ± this part of the colour circle; at most 0.5.
  package var hue = 0.1
  /// Probability that the colours are lost.
  package var grayscaleProbability = 0.2
  /// Probability of a Gaussian blur, per view; MoCo v3 has [1, 0.1].
  package var blurProbability = [0.5, 0.5]
  /// Side of the blur's kernel in pixels, odd; nil is the odd number nearest to a tenth of the image's
  /// side, and at least 3.
  package var blurKernel: Int?
  /// Smallest and largest sigma of the blur, in pixels.
  package var blurSigma = [0.1, 2]
  /// Probability that bright pixels are inverted, per view.
  package var solarizeProbability = [0, 0.2]
  /// From which value on a pixel is bright, 0 … 1.
  package var solarizeThreshold = 0.5
  /// Subtracted when an image is normalised; one value, or one per channel.
  package var mean = [0.5]
  /// Divided by when an image is normalised; one value, or one per channel.
  package var std = [0.25]

  /// The defaults.
  package init() {}

  /// The side of the blur's kernel for images of `size` x `size`.
  package func blurKernel(forSize size: Int) -> Int { blurKernel ?? max(2 * (size / 20) + 1, 3) }

  /// What is impossible among the values, one entry a problem; empty where all is well.
  ///
  /// Without `channels`, the mean and the deviation may be for any number of them.
  package func check(channels: Int? = nil) -> [(field: String, problem: String)] {
    var problems: [(field: String, problem: String)] = []
    func require(_ field: String, _ problem: String, _ isMet: Bool) {
      if !isMet { problems.append((field, problem)) }
    }
    func isRange(_ values: [Double]) -> Bool {
      values.count == 2 && values[0] > 0 && values[0] <= values[1] && values[1].isFinite
    }
    for (field, value) in [
      ("flipProbability", flipProbability), ("jitterProbability", jitterProbability),
      ("grayscaleProbability", grayscaleProbability), ("solarizeThreshold", solarizeThreshold),
    ] {
      require(field, "\(value) is not in 0 … 1", (0...1).contains(value))
    }
    for (field, values) in [
      ("blurProbability", blurProbability), ("solarizeProbability", solarizeProbability),
    ] {
      require(
        field, "\(values) is not a probability for each of two views",
        values.count == 2 && values.allSatisfy { (0...1).contains($0) })
    }
    for (field, value) in [
      ("brightness", brightness), ("contrast", contrast), ("saturation", saturation),
    ] {
      require(field, "\(value) is not a number of 0 or more", value >= 0 && value.isFinite)
    }
    require("hue", "\(hue) is not in 0 … 0.5", (0...0.5).contains(hue))
    for (field, values) in [("cropRatio", cropRatio), ("blurSigma", blurSigma)] {
      require(field, "\(values) is not a smallest and a largest value over 0", isRange(values))
    }
    require(
      "cropArea", "\(cropArea) is not a smallest and a largest part of an image",
      isRange(cropArea) && cropArea[1] <= 1)
    require(
      "blurKernel", "\(blurKernel ?? 0) is not an odd number of pixels",
      blurKernel.map { $0 > 0 && $0 % 2 == 1 } ?? true)
    let counts = channels.map { [1, $0] } ?? [1, 3]
    require(
      "mean", "\(mean) is not one number, or one for each channel",
      counts.contains(mean.count) && mean.allSatisfy(\.isFinite))
    require(
      "std", "\(std) is not one number over 0, or one for each channel",
      counts.contains(std.count) && std.allSatisfy { $0 > 0 && $0.isFinite })
    return problems
  }
}
