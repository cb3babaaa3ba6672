import Datasets
import Engine
import Testing

@Suite struct ImageFitTests {
  private func set(_ shape: ImageShape, _ bytes: [UInt8]) -> ImageSet {
    ImageSet(PixelBuffer(bytes, count: bytes.count / shape.count, shape))
  }

  private func kept(_ height: Int, _ width: Int, size: Int) -> ImageShape {
    let shape = ImageShape(channels: 1, height: height, width: width)
    return set(shape, [UInt8](repeating: 9, count: shape.count)).fitted(to: ImageFit(size: size, channels: 1))
      .shape(0)
  }

  @Test(arguments: [
    // Unchanged: smaller, of the encoder's size, up to twice as large.
    (28, 28, 32, 28, 28), (32, 32, 32, 32, 32), (64, 64, 32, 64, 64), (40, 80, 32, 40, 80),
    // Reduced to a shorter side of twice the encoder's.
    (96, 96, 32, 64, 64), (300, 400, 32, 64, 85), (400, 300, 32, 85, 64), (65, 130, 32, 64, 128),
    // An image more than twice as long as wide is cropped to its middle.
    (10, 100, 32, 10, 20), (1000, 100, 32, 128, 64), (1, 50, 8, 1, 2),
  ])
  func keepsAtMostTwiceTheEncodersSize(height: Int, width: Int, size: Int, keptHeight: Int, keptWidth: Int) {
    let shape = kept(height, width, size: size)
    #expect(shape == ImageShape(channels: 1, height: keptHeight, width: keptWidth))
    #expect(shape.longerSide <= ImageFit(size: size, channels: 1).longestSide)
  }

  @Test func imagesOfTheEncodersSizeAreTheSameBytesInTheSamePlace() {
    let images = Shapes.generate(count: 3, size: 32, channels: 3, seed: 1, role: .train)
    let fitted = images.fitted(to: ImageFit(size: 32, channels: 3))
    let address = images.withImage(2) { UInt(bitPattern: $0.bytes.baseAddress) }
    #expect(fitted.withImage(2) { UInt(bitPattern: $0.bytes.baseAddress) } == address)
    #expect(images.isFitted(to: ImageFit(size: 32, channels: 3)))
    #expect(!images.isFitted(to: ImageFit(size: 32, channels: 1)))
  }

  /// Four pixels become one: their mean with equal weights.
  @Test func reducingAveragesEveryPixel() {
    // 8 x 8 for an encoder of 2 becomes 4 x 4. A triangle of two pixels to each side includes the neighbours, and a
    // constant stays constant.
    let flat = set(ImageShape(channels: 1, height: 8, width: 8), [UInt8](repeating: 77, count: 64))
    #expect(flat.fitted(to: ImageFit(size: 2, channels: 1)).bytes(0) == [UInt8](repeating: 77, count: 16))
    // A ramp stays a ramp: new pixel x is at 2x + 0.5 in the old ones.
    let ramp = set(ImageShape(channels: 1, height: 8, width: 8), (0..<64).map { UInt8($0 % 8 * 20) })
    let row = ramp.fitted(to: ImageFit(size: 2, channels: 1)).bytes(0).prefix(4)
    #expect(row[1] == 50 && row[2] == 90, "\(row)")
  }

  @Test func subsetsKeepTheirImagesAndLabels() {
    let images = Shapes.generate(count: 10, size: 48, channels: 3, seed: 1, role: .train).subset([7, 2])
    let fit = ImageFit(size: 8, channels: 1)
    let fitted = images.fitted(to: fit)
    #expect(fitted.labels == images.labels && fitted.count == 2 && fitted.channels == 1)
    #expect(fitted.bytes(0) == images.subset([0]).fitted(to: fit).bytes(0))
    #expect(fitted.bytes(0) != fitted.bytes(1))
    #expect(fitted.foundShape(of: 0) == ImageShape(channels: 3, height: 48, width: 48))
  }

  /// Evaluation uses the central square of an image, at the encoder's size.
  @Test func evaluationSeesTheMiddle() {
    // Three columns of 4 x 4: 10, 20, 30; the middle is 20.
    let wide = set(
      ImageShape(channels: 1, height: 4, width: 12), (0..<48).map { UInt8($0 % 12 / 4 * 10 + 10) })
    var pixels = [Float](repeating: 0, count: 4)
    pixels.withUnsafeMutableBufferPointer { wide.copySquare(0, size: 2, into: $0.baseAddress!) }
    #expect(pixels.allSatisfy { $0 == 20.0 / 255 }, "\(pixels)")
  }

  /// An unmodified view of an image larger than the encoder is that image resized.
  @Test func viewsAreCutFromAllThatIsKept() {
    var settings = AugmentationSettings()
    (settings.cropArea, settings.cropRatio, settings.flip) = (1...1, 1...1, 0)
    (settings.jitter, settings.grayscale, settings.blur, settings.solarize) = (0, 0, [0, 0], [0, 0])
    let images = Shapes.generate(count: 2, size: 64, channels: 3, seed: 1, role: .train)
    let augmenter = Augmenter(settings, size: 32, channels: 3)
    var (view, plain) = ([Float](repeating: 0, count: 3072), [Float](repeating: 0, count: 3072))
    var random = RandomNumbers(1)
    view.withUnsafeMutableBufferPointer {
      augmenter.view(
        0, of: images, index: 1, random: &random, into: $0.baseAddress!,
        scratch: augmenter.makeScratch(for: images))
    }
    plain.withUnsafeMutableBufferPointer { augmenter.plain(images, index: 1, into: $0.baseAddress!) }
    // The plain image is rounded to bytes in between: half a step of 1/255, divided by 0.25.
    #expect(zip(view, plain).allSatisfy { abs($0 - $1) < 0.51 / 255 / 0.25 })
  }
}
