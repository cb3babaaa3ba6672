import Datasets
import Engine

/// A fixed number of augmented views of every image, two of which an epoch takes: as images, or, where a
/// prefix is frozen, as that prefix's cached outputs.
///
/// Even views are drawn as first views are, odd ones as second views.
final class FixedViews: RowSource {
  private let images: ImageSet
  private let augmenter: Augmenter
  private let views: Int
  /// Of the run, so that the views stay the same from round to round.
  private let seed: UInt64
  /// Of the round: which views are paired.
  private let roundSeed: UInt64
  private let scratches: [AugmentationScratch]
  private let cache: ViewCache?

  init(
    _ images: ImageSet, _ augmenter: Augmenter, views: Int, seed: UInt64, roundSeed: UInt64, workers: Int,
    cache: ViewCache?
  ) {
    precondition(views >= 2 && views % 2 == 0, "\(views) views: both kinds are needed")
    (self.images, self.augmenter, self.views) = (images, augmenter, views)
    (self.seed, self.roundSeed, self.cache) = (seed, roundSeed, cache)
    scratches = (0..<workers).map { _ in augmenter.makeScratch(for: images) }
  }

  /// Throws ``ClientError/state(_:)`` where some of the views could not be read from their file.
  func check() throws(ClientError) { try cache?.check() }

  var count: Int { images.count }
  var givesFeatures: Bool { cache != nil }

  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(roundSeed, "pair", epoch, image, view)
    let index = 2 * random.below(views / 2) + view
    if let cache {
      cache.read(image, index, into: place)
    } else {
      draw(image, index, worker, place)
    }
  }

  /// View `index` of an image as [C, H, W].
  func draw(_ image: Int, _ index: Int, _ worker: Int, _ pixels: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(seed, "fixed view", image, index)
    augmenter.view(
      index % 2, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
  }
}
