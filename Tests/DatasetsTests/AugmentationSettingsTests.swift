import Datasets
import Engine
import Foundation
import Testing

@Suite struct AugmentationSettingsTests {
  /// A plan is sent as JSON, including its augmentation.
  @Test(arguments: [nil, 5]) func whatIsEncodedDecodesToTheSame(blurKernel: Int?) throws {
    var settings = AugmentationSettings()
    settings.blurKernel = blurKernel
    settings.cropArea = 0.3...0.7
    settings.deviation = [0.2, 0.3, 0.4]
    let data = try JSONEncoder().encode(settings)
    #expect(try JSONDecoder().decode(AugmentationSettings.self, from: data) == settings)
  }

  @Test func aRangeInTheWrongOrderIsNotDecoded() throws {
    let text = String(decoding: try JSONEncoder().encode(AugmentationSettings()), as: UTF8.self)
    let wrong = text.replacing("[0.75,", with: "[7,")
    #expect(wrong != text)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(AugmentationSettings.self, from: Data(wrong.utf8))
    }
  }

  @Test func theKernelIsOddAndNearATenthOfTheSide() {
    let settings = AugmentationSettings()
    #expect([28, 32, 64, 96, 224].map(settings.blurKernel(forSize:)) == [3, 3, 7, 9, 23])
  }

  @Test func theKernelIsAsGivenAndOtherwiseFitsTheImage() {
    var settings = AugmentationSettings()
    #expect([1, 2].map(settings.blurKernel(forSize:)) == [1, 3])
    settings.blurKernel = 5
    #expect(settings.blurKernel(forSize: 224) == 5)
  }

  /// With labels, a view is a crop of most of the image, possibly flipped, and normalised.
  @Test func withLabelsColoursStayAsTheyAre() {
    let settings = AugmentationSettings.withLabels(mean: [0.25], deviation: [0.5])
    let grey = ImageSet(pixels: .init(repeating: 51, count: 3 * 64), count: 1, channels: 3, size: 8)
    let augmenter = Augmenter(settings, size: 8, channels: 3)
    var pixels = [Float](repeating: 0, count: 3 * 64)
    for seed in 0..<20 as Range<UInt64> {
      var random = RandomNumbers(seed)
      augmenter.view(
        0, of: grey, index: 0, random: &random, into: &pixels, scratch: augmenter.makeScratch(for: grey))
      #expect(pixels.allSatisfy { abs($0 - (0.2 - 0.25) / 0.5) < 1e-5 }, "seed \(seed)")
    }
    #expect(settings.cropArea == 0.6...1 && settings.flip == 0.5)
  }
}
