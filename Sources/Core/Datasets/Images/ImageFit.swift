import Engine

/// What is kept of an image of any size for an encoder of C x S x S.
///
/// An image is kept whole, up to a shorter side of 2·S; a larger one is reduced to that, with antialiasing. Crops
/// are cut from what is kept: the smallest usual one, a fifth of the area, then still has 0.9·S along each side,
/// and more pixels would be averaged away by its resizing. An image is never enlarged, so that one of S x S stays
/// as it is. Of an image more than twice as long as it is broad, the middle is kept. Grey becomes colour by
/// repetition, colour becomes grey by the luma of Rec. 601.
package struct ImageFit: Sendable, Hashable {
  /// S, in pixels.
  package let size: Int
  /// C, 1 or 3.
  package let channels: Int

  private static let margin = 2
  private static let longest = 2

  /// For an encoder of `channels` x `size` x `size`.
  package init(size: Int, channels: Int) {
    precondition(size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    (self.size, self.channels) = (size, channels)
  }

  /// What an encoder takes.
  package init(_ encoder: EncoderConfiguration) {
    let images = encoder.input.images
    self.init(size: images.side, channels: images.channels)
  }

  /// No image that is kept is longer, in pixels.
  package var longestSide: Int { Self.longest * Self.margin * size }

  /// The shorter side of the largest images that are kept as they are.
  var largestShorterSide: Int { Self.margin * size }

  /// The part of an image that is kept, and the shape that it gets.
  func kept(of shape: ImageShape) -> (crop: Crop, shape: ImageShape) {
    let short = shape.shorterSide
    let crop = Self.middle(
      of: shape, height: min(shape.height, Self.longest * short),
      width: min(shape.width, Self.longest * short))
    let target = min(short, largestShorterSide)
    func scaled(_ side: Int) -> Int { (side * target + short / 2) / short }
    return (
      crop, ImageShape(channels: channels, height: scaled(crop.height), width: scaled(crop.width))
    )
  }

  /// Whether images of this shape are kept as they are.
  func keeps(_ shape: ImageShape) -> Bool {
    let kept = kept(of: shape)
    return kept.shape == shape && kept.crop.height == shape.height && kept.crop.width == shape.width
  }

  /// What is kept of an image; `resampler` is scratch.
  func apply(_ pixels: PixelView, _ resampler: Resampler) -> DecodedImage {
    let kept = kept(of: pixels.shape)
    return DecodedImage(
      bytes: resampler.resize(
        pixels.cropped(kept.crop), height: kept.shape.height, width: kept.shape.width, channels: channels),
      shape: kept.shape)
  }

  /// The central square of an image at S x S, as evaluation sees it.
  func square(_ pixels: PixelView, _ resampler: Resampler) -> DecodedImage {
    let side = pixels.shape.shorterSide
    let middle = pixels.cropped(Self.middle(of: pixels.shape, height: side, width: side))
    return DecodedImage(
      bytes: resampler.resize(middle, height: size, width: size, channels: channels),
      shape: ImageShape(channels: channels, height: size, width: size))
  }

  private static func middle(of shape: ImageShape, height: Int, width: Int) -> Crop {
    Crop(
      top: (shape.height - height) / 2, left: (shape.width - width) / 2, height: height, width: width)
  }
}
