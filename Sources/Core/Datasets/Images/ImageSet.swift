import Engine

/// Images with or without labels, from any source; their sizes may differ.
///
/// Subsets share the source: they are lists of indices into it.
package struct ImageSet: Sendable {
  /// The source of all images, of which a subset contains only some.
  private let source: any ImageSource
  /// The index in the source of each image of a subset; nil if the set is the whole source.
  private let order: [Int]?

  /// The number of images.
  package let count: Int
  /// The class of each image, 0 ..< `classes`; nil for unlabelled images.
  package let labels: [Int]?
  /// The number of classes; 0 for unlabelled images.
  package let classes: Int
  /// The names of the classes in order; nil if classes have only numbers.
  package let classNames: [String]?
  /// The reason why existing labels were not used; nil if they were used or there are none.
  package let labelProblem: String?

  /// Creates a set of all images of a source.
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

  /// Creates a set of `count` square images stored contiguously in `pixels`: [count, channels, size, size].
  package init(
    pixels: [UInt8], count: Int, channels: Int, size: Int, labels: [Int]? = nil, classes: Int = 0
  ) {
    let shape = ImageShape(channels: channels, height: size, width: size)
    self.init(PixelBuffer(pixels, count: count, shape), labels: labels, classes: classes)
  }

  /// Returns the same images with other labels, 0 ..< `classes`.
  func relabelled(_ labels: [Int], classes: Int, names: [String]?) -> ImageSet {
    precondition(labels.count == count && labels.allSatisfy { (0..<classes).contains($0) }, "other labels")
    return ImageSet(source, order: order, labels: labels, classes: classes, names: names)
  }

  private init(
    _ source: any ImageSource, order: [Int]?, labels: [Int], classes: Int, names: [String]?
  ) {
    (self.source, self.order, self.labels) = (source, order, labels)
    count = order?.count ?? source.count
    (self.classes, classNames, labelProblem) = (classes, names, nil)
  }

  private init(_ whole: ImageSet, _ source: any ImageSource, order: [Int]?, labels: [Int]?) {
    (self.source, self.order, self.labels) = (source, order, labels)
    count = order?.count ?? source.count
    (classes, classNames, labelProblem) = (whole.classes, whole.classNames, whole.labelProblem)
  }

  /// The number of channels C, 1 or 3.
  package var channels: Int { source.channels }
  /// The longest side of all images in pixels; H = W for square images of one size.
  package var size: Int { source.longestSide }
  /// The maximum number of values C x H x W of an image.
  package var imageSize: Int { channels * size * size }
  /// The files of the source found broken so far.
  package var broken: [BrokenFile] { source.broken }
  /// Files of the folder whose names are not those of images.
  package var passedOver: PassedOver { source.passedOver }
  /// The number of bytes by which the memory of the images may still grow.
  package var spareBytes: Int { source.spareBytes }

  /// Returns the images at `indices` of this set, in that order, with their labels; an index may repeat.
  package func subset(_ indices: [Int]) -> ImageSet {
    for index in indices { precondition(index >= 0 && index < count, "image \(index) of \(count)") }
    return ImageSet(
      self, source, order: order.map { order in indices.map { order[$0] } } ?? indices,
      labels: labels.map { labels in indices.map { labels[$0] } })
  }

  /// Returns the first `n` images, or all if there are fewer.
  package func prefix(_ n: Int) -> ImageSet {
    precondition(n >= 0, "the first \(n) images")
    return n >= count ? self : subset(Array(0..<n))
  }

  /// Writes an image as C·H·W floats in 0 … 1 and returns its shape; H and W are at most ``size``.
  @discardableResult
  package func copyImage(_ index: Int, into image: UnsafeMutablePointer<Float>) -> ImageShape {
    withImage(index) {
      $0.write(into: image)
      return $0.shape
    }
  }

  /// Writes the central square of an image, resized to C x `size` x `size` if necessary, as floats in 0 … 1.
  package func copySquare(_ index: Int, size: Int, into image: UnsafeMutablePointer<Float>) {
    copySquare(index, size: size, into: image, nil)
  }

  /// The same, with a resampler as scratch, if there is one.
  func copySquare(
    _ index: Int, size: Int, into image: UnsafeMutablePointer<Float>, _ resampler: Resampler?
  ) {
    withImage(index) { source in
      if source.shape.height == size && source.shape.width == size { return source.write(into: image) }
      let fit = ImageFit(size: size, channels: source.shape.channels)
      fit.square(source.pixels, resampler ?? Resampler()).withView { $0.write(into: image) }
    }
  }

  /// Calls `body` with the C·H·W bytes of an image, planar.
  package func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    return source.withImage(order?[index] ?? index, body)
  }

  /// Returns the original shape of an image, before it was fitted to an encoder.
  package func foundShape(of index: Int) -> ImageShape {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    return source.shape(of: order?[index] ?? index)
  }

  /// Returns the name of an image: the path of its file, or its number in the source, which counts from 0 and includes
  /// images that were skipped.
  package func name(of index: Int) -> String {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    let place = order?[index] ?? index
    return source.path(of: place) ?? "\(place)"
  }

  /// Whether an image has not been found unreadable so far.
  package func isReadable(_ index: Int) -> Bool {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    return !source.unreadable.contains(order?[index] ?? index)
  }

  /// Whether ``fitted(to:)`` would change nothing.
  package func isFitted(to fit: ImageFit) -> Bool { source.isFitted(to: fit) }

  /// Returns the same images, fitted to an encoder.
  package func fitted(to fit: ImageFit) -> ImageSet {
    isFitted(to: fit) ? self : ImageSet(self, source.fitted(to: fit), order: order, labels: labels)
  }

  /// Returns the same images from a source that `change` makes of this one.
  func mapped(_ change: (any ImageSource) -> any ImageSource) -> ImageSet {
    ImageSet(self, change(source), order: order, labels: labels)
  }

  /// Throws ``DatasetError/differentClasses(train:test:)`` if the classes of these test images differ from those of the
  /// training images. Classes without names are not compared.
  package func requireClasses(of other: ImageSet) throws(DatasetError) {
    guard let classNames, let names = other.classNames, names != classNames else { return }
    throw .differentClasses(train: names, test: classNames)
  }

  /// The number of images found unreadable so far. Replacements are used for them, so subtract it where the number of
  /// distinct images matters.
  package var unreadable: Int {
    let unreadable = source.unreadable
    return order.map { order in order.count { unreadable.contains($0) } } ?? unreadable.count
  }

  /// Throws ``DatasetError/tooFew(count:broken:)`` unless `least` images can be read. Reads no more images than
  /// necessary.
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

  /// Reads every image once and returns the broken files of the source.
  package func verify(_ workers: Workers, each: @Sendable () -> Void = {}) -> [BrokenFile] {
    source.verify(order ?? Array(0..<count), workers, each: each)
    return source.broken
  }

  /// Reads every image once and returns those that can be read.
  package func readable(_ workers: Workers, each: @Sendable () -> Void = {}) -> ImageSet {
    _ = verify(workers, each: each)
    let unreadable = source.unreadable
    guard !unreadable.isEmpty else { return self }
    return subset((0..<count).filter { !unreadable.contains(order?[$0] ?? $0) })
  }
}
