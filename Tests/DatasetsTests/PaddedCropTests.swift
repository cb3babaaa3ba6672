import Datasets
import Engine
import Testing

@Suite struct PaddedCropTests {
  private static let seed: UInt64 = 815

  /// Settings with padding that otherwise leave a view as it is.
  private func settings(padding: Int, mean: [Float] = [0.25, 0.5, 0.75]) -> AugmentationSettings {
    var settings = AugmentationSettings.withLabels(mean: mean, deviation: [0.5])
    (settings.padding, settings.flip) = (padding, 0)
    return settings
  }

  private func view(_ augmenter: Augmenter, of set: ImageSet, draw: Int = 0) -> [Float] {
    var random = RandomNumbers(Self.seed, "padded", draw)
    var image = [Float](repeating: .nan, count: augmenter.channels * augmenter.size * augmenter.size)
    image.withUnsafeMutableBufferPointer {
      augmenter.view(
        draw % 2, of: set, index: 0, random: &random, into: $0.baseAddress!,
        scratch: augmenter.makeScratch(for: set))
    }
    return image
  }

  private func plain(_ augmenter: Augmenter, of set: ImageSet) -> [Float] {
    var image = [Float](repeating: .nan, count: augmenter.channels * augmenter.size * augmenter.size)
    image.withUnsafeMutableBufferPointer { augmenter.plain(set, index: 0, into: $0.baseAddress!) }
    return image
  }

  /// The value for each channel outside the image, and the image elsewhere.
  private func moved(
    _ image: [Float], _ shape: ImageShape, top: Int, left: Int, height: Int, width: Int, border: [Float]
  ) -> [Float] {
    (0..<shape.channels).flatMap { c in
      (0..<height).flatMap { y in
        (0..<width).map { x in
          let (row, column) = (y + top, x + left)
          let isInside = (0..<shape.height).contains(row) && (0..<shape.width).contains(column)
          return isInside ? image[(c * shape.height + row) * shape.width + column] : border[c]
        }
      }
    }
  }

  @Test(arguments: [1, 3]) func aRectangleAnywhereIsTheImageOrTheBorder(channels: Int) {
    let shape = ImageShape(channels: channels, height: 4, width: 3)
    var image = (0..<shape.count).map { Float($0) }
    let border = (0..<channels).map { -1 - Float($0) }
    for top in -7...7 {
      for left in -7...7 {
        var target = [Float](repeating: .nan, count: channels * 2 * 5)
        image.withUnsafeMutableBufferPointer { source in
          target.withUnsafeMutableBufferPointer { target in
            Augmentation.paddedCrop(
              PlanarImage(source.baseAddress!, channels: channels, height: 4, width: 3), top: top, left: left,
              border: border,
              into: PlanarImage(target.baseAddress!, channels: channels, height: 2, width: 5))
          }
        }
        #expect(
          target == moved(image, shape, top: top, left: left, height: 2, width: 5, border: border),
          "\(top), \(left)")
      }
    }
  }

  /// Each of the (2 · 2 + 1)² places is drawn with the same probability, and what is beyond the image is
  /// exactly 0.
  @Test func aViewIsAPlaceOfThePaddedNormalisedImage() {
    let set = Shapes.generate(count: 1, size: 8, channels: 3, seed: 1, role: .train)
    let augmenter = Augmenter(settings(padding: 2), size: 8, channels: 3)
    let (plain, shape) = (plain(augmenter, of: set), ImageShape(channels: 3, height: 8, width: 8))
    let places = (-2...2).flatMap { top in
      (-2...2).map { left in
        moved(plain, shape, top: top, left: left, height: 8, width: 8, border: [0, 0, 0])
      }
    }
    #expect(Set(places).count == 25)
    var counts = [Int](repeating: 0, count: 25)
    for draw in 0..<5000 {
      guard let place = places.firstIndex(of: view(augmenter, of: set, draw: draw)) else {
        Issue.record("draw \(draw) is at no place")
        continue
      }
      counts[place] += 1
    }
    // 200 on average with a deviation of 14.
    #expect(counts.allSatisfy { (130...270).contains($0) }, "seed \(Self.seed): \(counts)")
  }

  @Test func theResizedCropHasNoEffect() {
    let set = Shapes.generate(count: 1, size: 16, channels: 3, seed: 2, role: .train)
    var other = settings(padding: 4)
    (other.cropArea, other.cropRatio) = (0.1...0.2, 2...3)
    let (one, two) = (
      Augmenter(settings(padding: 4), size: 16, channels: 3), Augmenter(other, size: 16, channels: 3)
    )
    for draw in 0..<20 { #expect(view(one, of: set, draw: draw) == view(two, of: set, draw: draw)) }
  }

  @Test func theFlipFollows() {
    let set = Shapes.generate(count: 1, size: 8, channels: 1, seed: 3, role: .train)
    var flipped = settings(padding: 3, mean: [0.5])
    flipped.flip = 1
    let (one, two) = (
      Augmenter(settings(padding: 3, mean: [0.5]), size: 8, channels: 1),
      Augmenter(flipped, size: 8, channels: 1)
    )
    for draw in 0..<20 {
      let (image, mirrored) = (view(one, of: set, draw: draw), view(two, of: set, draw: draw))
      for y in 0..<8 { #expect(image[8 * y..<8 * y + 8] == mirrored[8 * y..<8 * y + 8].reversed()[...]) }
    }
  }

  /// Images of any size are scaled like images for evaluation.
  @Test(arguments: [(12, 12), (30, 20), (5, 9)]) func otherSizesAreScaledFirst(height: Int, width: Int) {
    let source = ImageShape(channels: 1, height: height, width: width)
    var random = RandomNumbers(Self.seed, "bytes")
    let bytes = (0..<source.count).map { _ in UInt8.random(in: 0...255, using: &random) }
    let set = ImageSet(PixelBuffer(bytes, count: 1, source))
    let augmenter = Augmenter(settings(padding: 1, mean: [0.5]), size: 8, channels: 1)
    let plain = plain(augmenter, of: set)
    let places = (-1...1).flatMap { top in
      (-1...1).map { left in
        moved(
          plain, ImageShape(channels: 1, height: 8, width: 8), top: top, left: left, height: 8, width: 8,
          border: [0])
      }
    }
    for draw in 0..<20 {
      #expect(places.contains(view(augmenter, of: set, draw: draw)), "seed \(Self.seed), draw \(draw)")
    }
  }

  /// Without normalisation the padding has the mean's colour.
  @Test func withoutNormalisationThePaddingIsTheMean() {
    let set = Shapes.generate(count: 1, size: 8, channels: 3, seed: 1, role: .train)
    let (mean, shape) = ([0.25, 0.5, 0.75] as [Float], ImageShape(channels: 3, height: 8, width: 8))
    let augmenter = Augmenter(settings(padding: 2, mean: mean), size: 8, channels: 3, normalises: false)
    let plain = plain(augmenter, of: set)
    #expect(plain.allSatisfy { (0...1).contains($0) })
    let places = (-2...2).flatMap { top in
      (-2...2).map { moved(plain, shape, top: top, left: $0, height: 8, width: 8, border: mean) }
    }
    for draw in 0..<20 { #expect(places.contains(view(augmenter, of: set, draw: draw)), "draw \(draw)") }
  }
}
