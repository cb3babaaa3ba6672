import Datasets
import Foundation
import Testing

@Suite struct AugmentationSettingsTests {
  private func decode(_ json: String) throws -> AugmentationSettings {
    try JSONDecoder().decode(AugmentationSettings.self, from: Data(json.utf8))
  }

  @Test func theDefaultsArePossible() {
    #expect(AugmentationSettings().check(channels: 3).isEmpty)
    #expect(AugmentationSettings().check(channels: 1).isEmpty)
  }

  @Test func everyImpossibleValueIsNamed() {
    var settings = AugmentationSettings()
    settings.cropArea = [0.5, 1.5]
    settings.cropRatio = [2, 1]
    settings.flipProbability = -0.1
    settings.jitterProbability = .nan
    settings.brightness = -1
    settings.contrast = .infinity
    settings.saturation = .nan
    settings.hue = 0.6
    settings.grayscaleProbability = 2
    settings.blurProbability = [0.5]
    settings.blurKernel = 4
    settings.blurSigma = [0, 1]
    settings.solarizeProbability = [0, 1.1]
    settings.solarizeThreshold = 3
    settings.mean = []
    settings.std = [0]
    let fields = Set(Mirror(reflecting: settings).children.compactMap(\.label))
    #expect(Set(settings.check().map(\.field)) == fields)
  }

  @Test func aMeanPerChannelMustFitTheChannels() {
    var settings = AugmentationSettings()
    settings.mean = [0.4, 0.5, 0.6]
    #expect(settings.check(channels: 3).isEmpty)
    #expect(settings.check(channels: 1).map(\.field) == ["mean"])
  }

  @Test func decodingTakesDefaultsAndRefusesMisspelling() throws {
    let settings = try decode(#"{"hue": 0.2, "blurProbability": [1, 0.1]}"#)
    var expected = AugmentationSettings()
    expected.hue = 0.2
    expected.blurProbability = [1, 0.1]
    #expect(settings == expected)
    #expect(throws: DecodingError.self) { try decode(#"{"flipProbabilty": 0}"#) }
  }

  @Test func whatIsEncodedDecodesToTheSame() throws {
    var settings = AugmentationSettings()
    settings.blurKernel = 5
    settings.std = [0.2, 0.3, 0.4]
    let data = try JSONEncoder().encode(settings)
    #expect(try JSONDecoder().decode(AugmentationSettings.self, from: data) == settings)
  }

  @Test func theKernelIsOddAndNearATenthOfTheSide() {
    let settings = AugmentationSettings()
    #expect([28, 32, 64, 96, 224].map(settings.blurKernel(forSize:)) == [3, 3, 7, 9, 23])
  }
}
