/// What a trainer takes in mini-batches: augmented views of images, or what a frozen prefix leaves of them, as rows of
/// floats.
///
/// A row is a function of its arguments alone, whatever thread asks and in whatever order, so that a run can be
/// repeated. Several threads ask at once.
package protocol RowSource {
  /// Images, each of which has as many views as an objective takes.
  var count: Int { get }
  /// Whether ``write(view:image:epoch:worker:into:)`` gives the frozen prefix's outputs, features, instead of images.
  var givesFeatures: Bool { get }
  /// The images' classes, where they are known; each is 0 or more.
  var labels: [Int]? { get }

  /// Writes a view of an image as [C, H, W] floats, normalised, or as features; `epoch` tells one draw of the
  /// augmentation from the next, and `worker` whose scratch may be used.
  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>)
}

extension RowSource {
  package var givesFeatures: Bool { false }
  package var labels: [Int]? { nil }
}

/// A source's rows with labels from elsewhere.
package struct LabelledRows: RowSource {
  private let source: any RowSource
  package let labels: [Int]?

  /// One label for each image.
  package init(_ source: any RowSource, labels: [Int]) {
    precondition(source.count == labels.count, "\(source.count) images, \(labels.count) labels")
    (self.source, self.labels) = (source, labels)
  }

  package var count: Int { source.count }
  package var givesFeatures: Bool { source.givesFeatures }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    source.write(view: view, image: image, epoch: epoch, worker: worker, into: place)
  }
}

/// The images of one optimiser step.
package struct Minibatch {
  private let source: any RowSource
  private let labels: [Int]?
  private let images: ArraySlice<Int>
  private let epoch: Int

  /// Images of a source, by their indices, in an epoch.
  package init(_ source: any RowSource, images: ArraySlice<Int>, epoch: Int) {
    (self.source, self.images, self.epoch) = (source, images, epoch)
    labels = source.labels
  }

  /// A source's first images.
  package init(_ source: any RowSource, first count: Int, epoch: Int = 0) {
    self.init(source, images: Array(0..<count)[...], epoch: epoch)
  }

  package var count: Int { images.count }
  var givesFeatures: Bool { source.givesFeatures }

  /// Writes view `view` of image 0 ..< ``count``.
  func write(view: Int, image: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    source.write(
      view: view, image: images[images.startIndex + image], epoch: epoch, worker: worker, into: place)
  }

  /// The class of image 0 ..< ``count``.
  func label(_ image: Int) -> Int {
    guard let labels else { preconditionFailure("images without labels") }
    return labels[images[images.startIndex + image]]
  }
}
