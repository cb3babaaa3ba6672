import Engine
import Foundation

/// A picture of images and their augmented views: each row starts with the image.
package struct ContactSheet {
  /// The number of views per image, alternately first and second views.
  private static let views = 6
  /// The approximate side to which small images are magnified.
  private static let side = 96
  /// The white space between images, in pixels.
  private static let gap = 4

  private let images: ImageSet
  private let augmenter: Augmenter
  private let rows: Int
  private let seed: UInt64

  /// Creates a sheet of `rows` images drawn with `seed`. The images and their views are fitted to `fit`.
  package init(
    _ images: ImageSet, _ fit: ImageFit, _ settings: AugmentationSettings, rows: Int = 8, seed: UInt64
  ) {
    self.images = images.fitted(to: fit)
    // The picture shows images without normalisation.
    augmenter = Augmenter(settings, size: fit.size, channels: fit.channels, normalises: false)
    (self.rows, self.seed) = (min(rows, images.count), seed)
  }

  /// Writes the sheet as a PNG. Throws ``DatasetError/unwritable(path:reason:)``.
  package func write(to path: String) throws(DatasetError) {
    do {
      try png().write(to: URL(fileURLWithPath: path))
    } catch {
      throw .unwritable(
        path: path, reason: (error as? ImageFault)?.reason ?? error.localizedDescription)
    }
  }

  private func png() throws(ImageFault) -> Data {
    let (size, channels) = (augmenter.size, augmenter.channels)
    let zoom = max(Self.side / size, 1)
    let cell = size * zoom + Self.gap
    let (height, width) = (rows * cell + Self.gap, (1 + Self.views) * cell + Self.gap)
    var sheet = [UInt8](repeating: 255, count: channels * height * width)
    var image = [Float](repeating: 0, count: channels * size * size)
    let scratch = augmenter.makeScratch(for: images)
    for (row, index) in chosen.enumerated() {
      for column in 0...Self.views {
        image.withUnsafeMutableBufferPointer { buffer in
          guard let place = buffer.baseAddress else { return }
          draw(column, of: index, scratch, into: place)
        }
        let (top, left) = (Self.gap + row * cell, Self.gap + column * cell)
        for y in 0..<size * zoom {
          for x in 0..<size * zoom {
            for channel in 0..<channels {
              let value = image[(channel * size + y / zoom) * size + x / zoom]
              sheet[((top + y) * width + left + x) * channels + channel] =
                UInt8(min(max(value, 0), 1) * 255 + 0.5)
            }
          }
        }
      }
    }
    return try PNGEncoder.encode(sheet, channels: channels, height: height, width: width)
  }

  /// The indices of the images on the sheet, in order.
  private var chosen: [Int] {
    var random = RandomNumbers(seed, "contact sheet")
    return Array(0..<images.count).shuffled(using: &random).prefix(rows).sorted()
  }

  /// Draws column 0, the image, or a view.
  private func draw(
    _ column: Int, of index: Int, _ scratch: AugmentationScratch, into place: UnsafeMutablePointer<Float>
  ) {
    guard column > 0 else { return augmenter.plain(images, index: index, into: place) }
    var random = RandomNumbers(seed, "contact sheet view", index, column)
    augmenter.view(
      (column - 1) % 2, of: images, index: index, random: &random, into: place, scratch: scratch)
  }
}
