/// A source of training data in mini-batches: augmented views of images, or the frozen prefix's outputs for them, as
/// rows of floats.
///
/// A row depends only on the arguments, not on the thread or the order of calls, so that runs are reproducible. Several
/// threads call it concurrently.
package protocol RowSource {
  /// The number of images, each of which has as many views as the objective uses.
  var count: Int { get }
  /// Whether ``write(view:image:epoch:worker:into:)`` writes features, the frozen prefix's outputs, instead of images.
  var givesFeatures: Bool { get }
  /// The labels of the images, at least 0; nil if they are unknown.
  var labels: [Int]? { get }
  /// The seed of a step's random choices other than the rows.
  var seed: UInt64 { get }

  /// Writes a view of an image as [C, H, W] floats, normalised, or as features. `epoch` selects the draw of the
  /// augmentation, and `worker` the scratch.
  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>)
  /// Writes the numbers of the patches that a step shows of an image, ascending, of 0 ..< `patches`.
  func writeShown(of patches: Int, image: Int, epoch: Int, into places: UnsafeMutableBufferPointer<Int32>)
}

extension RowSource {
  package var givesFeatures: Bool { false }
  package var labels: [Int]? { nil }
  package var seed: UInt64 { 0 }

  /// Draws the patches, each set with the same probability.
  package func writeShown(
    of patches: Int, image: Int, epoch: Int, into places: UnsafeMutableBufferPointer<Int32>
  ) {
    var random = RandomNumbers(seed, "shown patches", epoch, image)
    var taken = 0
    // Knuth's selection sampling: patch after patch, with the probability that it is among those still to be taken.
    for patch in 0..<patches where taken < places.count {
      guard random.below(patches - patch) < places.count - taken else { continue }
      places[taken] = Int32(patch)
      taken += 1
    }
  }
}

/// The rows of a source with labels from elsewhere.
package struct LabelledRows: RowSource {
  private let source: any RowSource
  package let labels: [Int]?

  /// Creates rows with one label for each image.
  package init(_ source: any RowSource, labels: [Int]) {
    precondition(source.count == labels.count, "\(source.count) images, \(labels.count) labels")
    (self.source, self.labels) = (source, labels)
  }

  package var count: Int { source.count }
  package var givesFeatures: Bool { source.givesFeatures }
  package var seed: UInt64 { source.seed }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    source.write(view: view, image: image, epoch: epoch, worker: worker, into: place)
  }
}

/// The images of one optimiser step.
package struct Minibatch {
  package let source: any RowSource
  private let labels: [Int]?
  /// The indices of the batch's images in the source.
  package let images: ArraySlice<Int>
  package let epoch: Int
  /// The number of the step in its epoch, starting at 0.
  package let step: Int
  /// A place for a copy of each image that is written [V·B, values of an image]; nil for none.
  var copy: Matrix?
  /// The patches that a step shows of each image, ascending; nil for all.
  private var shownPatches: (places: UnsafeMutablePointer<Int32>, count: Int)?

  /// Creates a batch of images of a source, by their indices, in a step of an epoch.
  package init(_ source: any RowSource, images: ArraySlice<Int>, epoch: Int, step: Int = 0) {
    (self.source, self.images, self.epoch, self.step) = (source, images, epoch, step)
    labels = source.labels
  }

  /// Creates a batch of a source's first images.
  package init(_ source: any RowSource, first count: Int, epoch: Int = 0) {
    self.init(source, images: Array(0..<count)[...], epoch: epoch)
  }

  package var count: Int { images.count }
  package var givesFeatures: Bool { source.givesFeatures }

  /// Writes view `view` of image 0 ..< ``count``.
  package func write(view: Int, image: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    source.write(
      view: view, image: images[images.startIndex + image], epoch: epoch, worker: worker, into: place)
    guard let copy else { return }
    precondition(!source.givesFeatures, "a copy of images that are not written")
    copy.row(view * count + image).update(from: place, count: copy.columns)
  }

  /// Draws the patches that are shown of each image, `shown` of `patches`, into memory of `count` x `shown` numbers.
  mutating func show(_ shown: Int, of patches: Int, in places: UnsafeMutablePointer<Int32>) {
    for (row, image) in images.enumerated() {
      source.writeShown(
        of: patches, image: image, epoch: epoch,
        into: UnsafeMutableBufferPointer(start: places + row * shown, count: shown))
    }
    shownPatches = (places, shown)
  }

  /// Returns the numbers of the patches that are shown of image 0 ..< ``count``, ascending; empty if all are.
  func shown(_ image: Int) -> UnsafeBufferPointer<Int32> {
    guard let shownPatches else { return UnsafeBufferPointer(start: nil, count: 0) }
    return UnsafeBufferPointer(
      start: shownPatches.places + image * shownPatches.count, count: shownPatches.count)
  }

  /// Returns the label of image 0 ..< ``count``.
  package func label(_ image: Int) -> Int {
    guard let labels else { preconditionFailure("images without labels") }
    return labels[images[images.startIndex + image]]
  }
}
