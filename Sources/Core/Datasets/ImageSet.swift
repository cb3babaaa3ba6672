/// Square images in memory, as bytes, with or without labels.
///
/// An image is planar [C, H, W] with H = W = `size`. Subsets share the pixels: they are lists of indices
/// over the one immutable buffer.
package struct ImageSet: Sendable {
  /// Of all images of the buffer, which a subset may not all show.
  private let pixels: [UInt8]
  /// Where in the buffer each image of a subset is; nil where the set is the whole buffer.
  private let order: [Int]?

  /// How many images there are.
  package let count: Int
  /// C, 1 or 3.
  package let channels: Int
  /// H = W, in pixels.
  package let size: Int
  /// The class of each image, 0 ..< `classes`; nil for unlabelled images.
  package let labels: [Int]?
  /// How many classes there are; 0 for unlabelled images.
  package let classes: Int

  /// Takes `count` images, one after another in `pixels`: [count, channels, size, size].
  package init(
    pixels: [UInt8], count: Int, channels: Int, size: Int, labels: [Int]? = nil, classes: Int = 0
  ) {
    precondition(
      count >= 0 && channels > 0 && size > 0 && pixels.count == count * channels * size * size,
      "\(pixels.count) bytes for \(count) x \(channels) x \(size) x \(size)")
    precondition(labels.map { $0.count == count } ?? true, "\(labels?.count ?? 0) labels, \(count) images")
    precondition(
      labels.map { $0.allSatisfy { $0 >= 0 && $0 < classes } } ?? (classes == 0),
      "labels that are not among \(classes) classes")
    self.pixels = pixels
    self.order = nil
    self.count = count
    self.channels = channels
    self.size = size
    self.labels = labels
    self.classes = classes
  }

  private init(_ whole: ImageSet, order: [Int], labels: [Int]?) {
    pixels = whole.pixels
    self.order = order
    count = order.count
    channels = whole.channels
    size = whole.size
    self.labels = labels
    classes = whole.classes
  }

  /// Numbers in an image: C x H x W.
  package var imageSize: Int { channels * size * size }

  /// The images at `indices` of this set, in that order, with their labels; an index may repeat.
  package func subset(_ indices: [Int]) -> ImageSet {
    for index in indices { precondition(index >= 0 && index < count, "image \(index) of \(count)") }
    return ImageSet(
      self, order: order.map { order in indices.map { order[$0] } } ?? indices,
      labels: labels.map { labels in indices.map { labels[$0] } })
  }

  /// The first `n` images, or all where there are fewer.
  package func prefix(_ n: Int) -> ImageSet {
    precondition(n >= 0, "the first \(n) images")
    return n >= count ? self : subset(Array(0..<n))
  }

  /// Writes an image as C·H·W floats in 0 … 1 (torchvision's `to_tensor`: byte / 255).
  package func copyImage(_ index: Int, into image: UnsafeMutablePointer<Float>) {
    withBytes(of: index) { bytes in
      for i in 0..<bytes.count { image[i] = Float(bytes[i]) / 255 }
    }
  }

  /// The C·H·W bytes of an image.
  package func withBytes<Result>(of index: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    precondition(index >= 0 && index < count, "image \(index) of \(count)")
    let start = (order?[index] ?? index) * imageSize
    return pixels.withUnsafeBufferPointer {
      body(UnsafeBufferPointer(rebasing: $0[start..<start + imageSize]))
    }
  }

  /// Throws ``DatasetError/mismatch(size:channels:expectedSize:expectedChannels:)`` unless the images are
  /// what an encoder for `channels` x `size` x `size` takes.
  package func require(size: Int, channels: Int) throws(DatasetError) {
    guard self.size == size && self.channels == channels else {
      throw .mismatch(
        size: self.size, channels: self.channels, expectedSize: size, expectedChannels: channels)
    }
  }
}
