import Engine

/// Resizes images of bytes: bilinear with antialiasing, as in ``ResamplingFilter``, with rounding. An image that
/// already has the target size is copied.
final class Resampler {
  private var horizontal = ResamplingFilter(longestSide: 1)
  private var vertical = ResamplingFilter(longestSide: 1)
  private var tile = SeparableResize.Tile(longestSide: 1)
  /// The rows of one channel after the horizontal pass, input height x output width, and a row after the vertical one.
  private var rows: [Float] = []

  /// Returns the bytes [channels, height, width] of a resized image of 1 or 3 channels.
  func resize(_ pixels: PixelView, height: Int, width: Int, channels: Int) -> [UInt8] {
    let own = pixels.channels
    precondition([1, 3].contains(own) && [1, 3].contains(channels), "\(own) channels to \(channels)")
    let area = height * width
    return [UInt8](unsafeUninitializedCapacity: max(own, channels) * area) { buffer, initialised in
      if let bytes = buffer.baseAddress {
        if pixels.height == height && pixels.width == width {
          pixels.copy(into: bytes)
        } else {
          resample(pixels, height, width, into: bytes)
        }
        if own < channels {
          for plane in 1..<channels { (bytes + plane * area).update(from: bytes, count: area) }
        } else if own > channels {
          Self.reduceToLuma(bytes, area)
        }
      }
      initialised = channels * area
    }
  }

  private func resample(
    _ pixels: PixelView, _ height: Int, _ width: Int, into bytes: UnsafeMutablePointer<UInt8>
  ) {
    Self.prepare(&horizontal, from: pixels.width, to: width)
    Self.prepare(&vertical, from: pixels.height, to: height)
    if tile.longestSide < horizontal.longestSide {
      tile = SeparableResize.Tile(longestSide: horizontal.longestSide)
    }
    let (area, step) = (pixels.height * width, pixels.columnStride)
    if rows.count < area + width { rows = [Float](repeating: 0, count: area + width) }
    rows.withUnsafeMutableBufferPointer { buffer in
      guard let rows = buffer.baseAddress else { return }
      let line = rows + area
      for channel in 0..<pixels.channels {
        SeparableResize.narrow(
          rows: pixels.height, horizontal, width: width, isMirrored: false, into: rows, tile
        ) { y, place in
          let row = pixels.row(channel, y)
          for x in 0..<pixels.width { place[SeparableResize.lanes * x] = Float(row[x * step]) }
        }
        for y in 0..<height {
          SeparableResize.shorten(rows, vertical, row: y, width: width, into: line)
          let target = bytes + (channel * height + y) * width
          for x in 0..<width { target[x] = UInt8(min(max(line[x] + 0.5, 0), 255)) }
        }
      }
    }
  }

  /// Prepares a filter, and enlarges its memory if necessary.
  private static func prepare(_ filter: inout ResamplingFilter, from input: Int, to output: Int) {
    let side = max(input, output)
    if filter.longestSide < side { filter = ResamplingFilter(longestSide: side) }
    filter.prepare(from: input, to: output)
  }

  /// Writes 0.299·R + 0.587·G + 0.114·B (ITU-R BT.601) into the first plane.
  private static func reduceToLuma(_ bytes: UnsafeMutablePointer<UInt8>, _ area: Int) {
    for i in 0..<area {
      let (r, g, b) = (Int(bytes[i]), Int(bytes[area + i]), Int(bytes[2 * area + i]))
      bytes[i] = UInt8((299 * r + 587 * g + 114 * b + 500) / 1000)
    }
  }
}

/// Reduces images of any size for an encoder of C x S x S.
///
/// An image is kept whole, with a shorter side of at most 2·S; a larger one is reduced to that with antialiasing.
/// Random crops are cut from the result: the smallest usual crop, a fifth of the area, has 0.9·S along each side, and
/// resizing would average more pixels away. Images are never enlarged, so that an image of S x S is unchanged. Images
/// with an aspect ratio above 2 are cropped to the middle. Grey images become colour by repetition, and colour images
/// become grey by the luma of ITU-R BT.601.
package struct ImageFit: Sendable, Hashable {
  /// The side S of the encoder's images, in pixels.
  package let size: Int
  /// The number of channels C, 1 or 3.
  package let channels: Int

  private static let margin = 2
  private static let longest = 2

  /// Creates a fit for an encoder of `channels` x `size` x `size`.
  package init(size: Int, channels: Int) {
    precondition(size > 0 && (channels == 1 || channels == 3), "\(channels) x \(size) x \(size)")
    (self.size, self.channels) = (size, channels)
  }

  /// Creates a fit for an encoder of images of a shape.
  package init(_ images: ImageInput) { self.init(size: images.side, channels: images.channels) }

  /// Creates a fit for an encoder; traps if it takes no images.
  package init(_ encoder: EncoderConfiguration) { self.init(encoder.input.images) }

  /// The maximum side of a fitted image, in pixels.
  package var longestSide: Int { Self.longest * Self.margin * size }

  /// The maximum shorter side of a fitted image, in pixels.
  var largestShorterSide: Int { Self.margin * size }

  /// Returns the part of an image to keep, and its fitted shape.
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

  /// Whether images of this shape are unchanged.
  func keeps(_ shape: ImageShape) -> Bool {
    let kept = kept(of: shape)
    return kept.shape == shape && kept.crop.height == shape.height && kept.crop.width == shape.width
  }

  /// Returns the fitted image; `resampler` is scratch.
  func apply(_ pixels: PixelView, _ resampler: Resampler) -> DecodedImage {
    let kept = kept(of: pixels.shape)
    return DecodedImage(
      bytes: resampler.resize(
        pixels.cropped(kept.crop), height: kept.shape.height, width: kept.shape.width, channels: channels),
      shape: kept.shape)
  }

  /// Returns the central square of an image at S x S, for evaluation.
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
