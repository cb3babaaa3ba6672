import Datasets
import Testing

/// The project's claim: its augmentation matches torchvision's definition, to a tolerance tighter than the manifest's.
@Suite struct AugmentationTests {
  @Test(
    .enabled(if: SharedFolder.holds(SharedFolder.golden), "the golden vectors are not beside the package"))
  func goldenCasesAgreeWithTorchvision() throws {
    let cases = try GoldenCase.all()
    #expect(cases.count >= 10)
    for golden in cases {
      let operation = try #require(golden.operation, "\(golden) is not known")
      let tensors = try Safetensors(SharedFolder.golden.appendingPathComponent(golden.file)).tensors
      let (input, expected) = (try #require(tensors["in.image"]), try #require(tensors["out.image"]))
      let got = Augmentation.apply(
        operation, to: input.values, channels: input.shape[0], height: input.shape[1], width: input.shape[2])
      try #require(got.count == expected.values.count)
      let error = zip(got, expected.values).map { abs($0 - $1) }.max() ?? .infinity
      print("\(golden): largest error \(error)")
      #expect(error < min(golden.tolerance, 1e-5), "\(golden)")
    }
  }

  @Test func oneChannelHasNoColourToChange() {
    let image = TestImages.random(channels: 1, size: 7, seed: 3)
    for operation in [Augmentation.Operation.saturation(factor: 1.7), .hue(factor: 0.3), .grayscale] {
      #expect(Augmentation.apply(operation, to: image, channels: 1, height: 7, width: 7) == image)
    }
  }

  @Test func contrastOfOneChannelKeepsItsMean() {
    let image = TestImages.random(channels: 1, size: 8, seed: 4).map { 0.4 + 0.2 * $0 }
    let changed = Augmentation.apply(.contrast(factor: 0.5), to: image, channels: 1, height: 8, width: 8)
    let (before, after) = (image.reduce(0, +) / 64, changed.reduce(0, +) / 64)
    #expect(abs(before - after) < 1e-6)
    #expect(abs((changed[5] - after) - 0.5 * (image[5] - before)) < 1e-6)
  }

  @Test func twoFlipsAreNone() {
    let image = TestImages.random(channels: 3, size: 9, seed: 5)
    let once = Augmentation.apply(.horizontalFlip, to: image, channels: 3, height: 9, width: 9)
    #expect(once != image)
    #expect(Augmentation.apply(.horizontalFlip, to: once, channels: 3, height: 9, width: 9) == image)
  }
}
