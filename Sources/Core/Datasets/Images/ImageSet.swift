import Engine

/// Images with or without labels, whatever they come from; their sizes may differ.
///
/// Subsets share their images' source: they are lists of indices over it.
package struct ImageSet: Sendable {
  /// Of all images, which a subset may not all show.
  private let source: any ImageSource
  /// Where in the source each image of a subset is; nil where the set is the whole source.
  private let order: [Int]?

  /// How many images there are.
  package let count: Int
  /// The class of each image, 0 ..< `classes`; nil for unlabelled images.
  package let labels: [Int]?
  /// How many classes there are; 0 for unlabelled images.
  package let classes: Int
  /// What the classes are called, in their order; nil where they have numbers alone.
  package let classNames: [String]?
  /// Why labels that are there were not taken; nil where they were, and where there are none.
  package let labelProblem: String?

  /// All images of a source.
  package init(
    _ source: any ImageSource, labels: [Int]? = nil, classes: Int = 0, classNames: [String]? = nil,
    labelProblem: String? = nil
  ) {
    precondition(
      labels.map { $0.count == source.count } ?? true, "\(labels?.count ?? 0) labels, \(source.count) images")
    precondition(
      labels.map { $0.allSatisfy { $0 >= 0 && $0 < classes } } ?? (classes == 0),
      "labels that are not among \(classes) classes")
    precondition(classNames.map { $0.count == classes } ?? true, "names for \(classes) classes")
    (self.source, order, count) = (source, nil, source.count)
    (self.labels, self.classes, self.classNames, self.labelProblem) = (
      labels, classes, classNames, labelProblem
    )
  }

  /// Takes `count` square images, one after another in `pixels`: [count, channels, size, size].
  package init(
    pixels: [UInt8], count: Int, channels: Int, size: Int, labels: [Int]? = nil, classes: Int = 0
  ) {
    let shape = ImageShape(channels: channels, height: size, width: size)
    self.init(PixelBuffer(pixels, count: count, shape), labels: labels, classes: classes)
  }

  private init(_ whole: ImageSet, _ source: any ImageSource, order: [Int]?, labels: [Int]?) {
    (self.source, self.order, self.labels) = (source, order, labels)
    count = order?.count ?? source.count
    (classes, classNames, labelProblem) = (whole.classes, whole.classNames, whole.labelProblem)
  }

  /// C, 1 or 3.
  package var channels: Int { source.channels }
  /// The longest side of any image, in pixels: of square images of one size H = W.
  package var size: Int { source.longestSide }
  /// Numbers in an image of C x H x W at most.
  package var imageSize: Int { channels * size * size }
  /// What could not be read so far of all that the images come from.
  package var broken: [BrokenFile] { source.broken }
  /// Files beside the images that are not called as images are.
  package var passedOver: PassedOver { source.passedOver }
  /// By how many bytes the images' memory may still grow.
  package var spareBytes: Int { source.spareBytes }

  /// The images at `indices` of this set, in that order, with their labels; an index may repeat.
  package func subset(_ indices: [Int]) -> ImageSet {
    for index in indices { precondition(index >= 0 && index < count, "image \(index) of \(count)") }
    return ImageSet(
      self, source, order: order.map { order in indices.map { order[$0] } } ?? indices,
      labels: labels.map { labels in indices.map { labels[$0] } })
  }

  /// The first `n` images, or all where there are fewer.
  package func prefix(_ n: Int) -> ImageSet {
    precondition(n >= 0, "the first \(n) images")
    return n >= count ? self : subset(Array(0..<n))
  }

  /// Writes an image as C·H·W floats in 0 … 1, and returns its shape: H and W are at most ``size``.
  @discardableResult
  package func copyImage(_ index: Int, into image: UnsafeMutablePointer<Float>) -> ImageShape {
    withImage(index) {
      $0.write(into: image)
      return $0.shape
    }
  }

  /// Writes the central square of an image, resized to C x `size` x `size` where it is larger or smaller, as floats
  /// in 0 … 1.
  package func copySquare(_ index: Int, size: Int, into image: UnsafeMutablePointer<Float>) {
    withImage(index) { source in
      if source.shape.height == size && source.shape.width == size { return source.write(into: image) }
      let fit = ImageFit(size: size, channels: source.shape.channels)
      fit.square(source.pixels, Resampler()).withView { $0.write(into: image) }
    }
  }

  /// The C·H·W bytes of an image, planar.
  package func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    return source.withImage(order?[index] ?? index, body)
  }

  /// The image's shape as it was found, before it was fitted to an encoder.
  package func foundShape(of index: Int) -> ImageShape {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    return source.shape(of: order?[index] ?? index)
  }

  /// Whether ``fitted(to:)`` has nothing to do.
  package func isFitted(to fit: ImageFit) -> Bool { source.isFitted(to: fit) }

  /// The same images as an encoder is given them.
  package func fitted(to fit: ImageFit) -> ImageSet {
    isFitted(to: fit) ? self : ImageSet(self, source.fitted(to: fit), order: order, labels: labels)
  }

  /// Throws ``DatasetError/differentClasses(train:test:)`` unless these test images have the classes of the training
  /// images; where they have numbers alone, nobody can tell.
  package func requireClasses(of other: ImageSet) throws(DatasetError) {
    guard let classNames, let names = other.classNames, names != classNames else { return }
    throw .differentClasses(train: names, test: classNames)
  }

  /// How many of the images turned out so far to be unreadable. Others are given in their place, which must count once
  /// where it matters how many there are.
  package var unreadable: Int {
    let unreadable = source.unreadable
    return order.map { order in order.count { unreadable.contains($0) } } ?? unreadable.count
  }

  /// Throws ``DatasetError/tooFew(count:broken:)`` unless so many images can be read. Reads no more than are needed to
  /// know.
  package func requireReadable(_ least: Int) throws(DatasetError) {
    var (index, readable) = (0, 0)
    let one = Workers(1)
    while readable < least, index < count {
      let place = order?[index] ?? index
      source.verify([place], one) {}
      if !source.unreadable.contains(place) { readable += 1 }
      index += 1
    }
    guard readable >= least else { throw .tooFew(count: readable, broken: broken) }
  }

  /// Reads every image once; returns what is broken of all that they come from.
  package func verify(_ workers: Workers, each: @Sendable () -> Void = {}) -> [BrokenFile] {
    source.verify(order ?? Array(0..<count), workers, each: each)
    return source.broken
  }

  /// The images that can be read: each is tried.
  package func readable(_ workers: Workers, each: @Sendable () -> Void = {}) -> ImageSet {
    _ = verify(workers, each: each)
    let unreadable = source.unreadable
    guard !unreadable.isEmpty else { return self }
    return subset((0..<count).filter { !unreadable.contains(order?[$0] ?? $0) })
  }
}
