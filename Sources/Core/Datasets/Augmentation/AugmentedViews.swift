import Engine

/// Two augmented views of every image of a set, as a trainer asks for them.
///
/// A view follows from the seed, the epoch, the image and the view alone.
package final class AugmentedViews: RowSource {
  private let images: ImageSet
  private let augmenter: Augmenter
  private let seed: UInt64
  private let scratches: [AugmentationScratch]

  /// For trainers of at most `workers` workers. The images must have the augmenter's channels.
  package init(_ images: ImageSet, _ augmenter: Augmenter, seed: UInt64, workers: Int) {
    self.images = images
    self.augmenter = augmenter
    self.seed = RandomNumbers.derive(seed, "views")
    scratches = (0..<workers).map { _ in augmenter.makeScratch(for: images) }
  }

  package var count: Int { images.count }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>
  ) {
    var random = RandomNumbers(seed, "view", epoch, image, view)
    augmenter.view(
      view, of: images, index: image, random: &random, into: pixels, scratch: scratches[worker])
  }
}
