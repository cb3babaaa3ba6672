import Datasets
import Foundation
import Testing

@Suite struct AugmentationSettingsTests {
  /// A plan travels as JSON, and its augmentation with it.
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
}
