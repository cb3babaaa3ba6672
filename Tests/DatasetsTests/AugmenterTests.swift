import Datasets
import Engine
import Testing

@Suite struct AugmenterTests {
  private static let seed: UInt64 = 4711
  private let set = Shapes.generate(count: 20, size: 32, channels: 3, seed: 1, role: .train)

  /// Settings that do not change a view.
  private var still: AugmentationSettings {
    var settings = AugmentationSettings()
    settings.cropArea = 1...1
    settings.cropRatio = 1...1
    settings.flip = 0
    settings.jitter = 0
    settings.grayscale = 0
    settings.blur = [0, 0]
    settings.solarize = [0, 0]
    return settings
  }

  private func view(_ view: Int, _ augmenter: Augmenter, index: Int = 3, draw: Int = 0) -> [Float] {
    let scratch = augmenter.makeScratch(for: set)
    var random = RandomNumbers(Self.seed, "augment", index, view, draw)
    var image = [Float](repeating: .nan, count: 3 * 32 * 32)
    image.withUnsafeMutableBufferPointer {
      augmenter.view(view, of: set, index: index, random: &random, into: $0.baseAddress!, scratch: scratch)
    }
    return image
  }

  private func plain(_ augmenter: Augmenter, index: Int = 3) -> [Float] {
    var image = [Float](repeating: .nan, count: 3 * 32 * 32)
    image.withUnsafeMutableBufferPointer { augmenter.plain(set, index: index, into: $0.baseAddress!) }
    return image
  }

  /// Returns how often in 2000 draws a view differs from the plain image.
  private func share(_ settings: AugmentationSettings, view number: Int = 0) -> Float {
    let augmenter = Augmenter(settings, size: 32, channels: 3)
    let plain = plain(augmenter)
    return Float((0..<2000).count { view(number, augmenter, draw: $0) != plain }) / 2000
  }

  @Test func theSameNumbersGiveTheSameView() {
    let augmenter = Augmenter(AugmentationSettings(), size: 32, channels: 3)
    for draw in 0..<50 {
      let image = view(1, augmenter, draw: draw)
      #expect(image == view(1, augmenter, draw: draw), "seed \(Self.seed)")
      #expect(image.allSatisfy { $0.isFinite })
    }
    #expect(view(0, augmenter) != view(1, augmenter))
  }

  /// A worker's scratch does not carry state from one image to the next.
  @Test func whatAScratchWasUsedForDoesNotMatter() {
    let augmenter = Augmenter(AugmentationSettings(), size: 32, channels: 3)
    let scratch = augmenter.makeScratch(for: set)
    for index in 0..<20 {
      var random = RandomNumbers(Self.seed, "augment", index, 0, 0)
      var image = [Float](repeating: 0, count: 3 * 32 * 32)
      image.withUnsafeMutableBufferPointer {
        augmenter.view(0, of: set, index: index, random: &random, into: $0.baseAddress!, scratch: scratch)
      }
      #expect(image == view(0, augmenter, index: index), "image \(index)")
    }
  }

  @Test func withEverythingOffAViewIsThePlainImage() {
    let augmenter = Augmenter(still, size: 32, channels: 3)
    #expect(view(0, augmenter) == plain(augmenter))
    #expect(view(1, augmenter) == plain(augmenter))
  }

  /// A quarter of the area, unscaled, is a part of the image; the two other views stay as they are without local ones.
  @Test func localViewsArePartsOfTheImage() {
    var settings = still
    settings.crops = LocalCrops(count: 3, size: 16, area: 0.25...0.25)
    let augmenter = Augmenter(settings, size: 32, channels: 3)
    let views = AugmentedViews(set, augmenter, seed: Self.seed, workers: 1)
    let plain = plain(augmenter)
    var places: Set<Int> = []
    for number in 0..<5 {
      let side = number < 2 ? 32 : 16
      var image = [Float](repeating: .nan, count: 3 * side * side)
      image.withUnsafeMutableBufferPointer {
        views.write(view: number, image: 3, epoch: 0, worker: 0, into: $0.baseAddress!)
      }
      if number < 2 {
        #expect(image == plain)
        continue
      }
      let found = (0..<17 * 17).first { place in
        let start = place / 17 * 32 + place % 17
        return (0..<3 * 256).allSatisfy {
          image[$0] == plain[$0 / 256 * 1024 + start + $0 % 256 / 16 * 32 + $0 % 16]
        }
      }
      #expect(found != nil, "seed \(Self.seed), view \(number)")
      if let found { places.insert(found) }
    }
    #expect(places.count > 1, "seed \(Self.seed)")
  }

  @Test func normalisationIsPerChannel() {
    var settings = still
    settings.mean = [0.1, 0.2, 0.3]
    settings.deviation = [0.5, 0.25, 0.125]
    let got = plain(Augmenter(settings, size: 32, channels: 3))
    set.withImage(3) { image in
      for channel in 0..<3 {
        let expected =
          (Float(image.bytes[channel * 1024]) / 255 - settings.mean[channel]) / settings.deviation[channel]
        #expect(abs(got[channel * 1024] - expected) < 1e-5)
      }
    }
  }

  /// The bounds are more than four standard deviations from the probability.
  @Test func probabilitiesAreThoseOfTheSettings() {
    var flip = still
    flip.flip = 0.5
    var gray = still
    gray.grayscale = 0.2
    var jitter = still
    jitter.jitter = 0.8
    var blur = still
    blur.blur = [1, 0.1]
    // Below a third of a pixel the weights of neighbours vanish in a float, and nothing changes.
    blur.blurSigma = 0.5...2
    var solarize = still
    solarize.solarize = [0, 0.2]
    for (name, share, probability) in [
      ("flip", share(flip), 0.5), ("grayscale", share(gray), 0.2), ("jitter", share(jitter), 0.8),
      ("blur of view 0", share(blur), 1), ("blur of view 1", share(blur, view: 1), 0.1),
      ("solarize of view 0", share(solarize), 0), ("solarize of view 1", share(solarize, view: 1), 0.2),
    ] as [(String, Float, Float)] {
      let bound = 4.5 * (probability * (1 - probability) / 2000).squareRoot()
      #expect(abs(share - probability) <= bound, "\(name): \(share), seed \(Self.seed)")
    }
  }

  /// An image half black, half white becomes (dark, bright). With brightness b > 1 and contrast c < 1 the result shows
  /// the order: brightness first is clipped and gives dark + bright = 1, contrast first gives b or more. With b < 1
  /// their sum is b.
  @Test func jitterTakesItsOperationsInBothOrders() {
    var settings = still
    settings.jitter = 1
    (settings.brightness, settings.contrast) = (0.4, 0.4)
    let augmenter = Augmenter(settings, size: 2, channels: 3)
    let set = ImageSet(
      pixels: [0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255], count: 1, channels: 3, size: 2)
    let scratch = augmenter.makeScratch(for: set)
    var image = [Float](repeating: 0, count: 12)
    var (brightnessFirst, contrastFirst, least) = (0, 0, Float(1))
    for draw in 0..<1000 {
      var random = RandomNumbers(Self.seed, "jitter", draw)
      image.withUnsafeMutableBufferPointer {
        augmenter.view(0, of: set, index: 0, random: &random, into: $0.baseAddress!, scratch: scratch)
      }
      let (dark, bright) = (image[0] * 0.25 + 0.5, image[3] * 0.25 + 0.5)
      guard dark > 1e-3 else { continue }
      least = min(least, dark + bright)
      if abs(dark + bright - 1) < 1e-3 { brightnessFirst += 1 }
      if dark + bright > 1 + 1e-3 { contrastFirst += 1 }
    }
    // Each has a probability of 1/8.
    #expect(brightnessFirst > 80 && contrastFirst > 80, "seed \(Self.seed)")
    #expect(least > 0.599 && least < 0.65, "seed \(Self.seed): least brightness \(least)")
  }

  @Test func oneChannelIsAugmentedToo() {
    let grey = Shapes.generate(count: 2, size: 28, channels: 1, seed: 1, role: .train)
    let augmenter = Augmenter(AugmentationSettings(), size: 28, channels: 1)
    let scratch = augmenter.makeScratch(for: grey)
    var random = RandomNumbers(Self.seed)
    var image = [Float](repeating: .nan, count: 28 * 28)
    for view in 0..<40 {
      image.withUnsafeMutableBufferPointer {
        augmenter.view(
          view % 2, of: grey, index: 0, random: &random, into: $0.baseAddress!, scratch: scratch)
      }
      #expect(image.allSatisfy { $0 >= -2.001 && $0 <= 2.001 }, "seed \(Self.seed), view \(view)")
    }
  }
}
