import Foundation
import Support

/// Images of one shape, stored contiguously in a file.
struct ImageArray {
  let count: Int
  /// The shape of each image.
  let shape: ImageShape
  let order: PixelView.Order

  /// The maximum side of an image in pixels.
  private static let largestSide = 1 << 14

  init(count: Int, _ shape: ImageShape, _ order: PixelView.Order) {
    (self.count, self.shape, self.order) = (count, shape, order)
  }

  /// Interprets the sides of an array: [N, H, W], [N, H, W, C] or [N, C, H, W] with C of 1 or 3.
  ///
  /// Throws a ``DatasetError`` with `path` for other sides.
  init(sides: [Int], path: String) throws(DatasetError) {
    let (channels, height, width, order): (Int, Int, Int, PixelView.Order)
    switch sides.dropFirst().map({ $0 }) {
    case let inner where inner.count == 2: (channels, height, width, order) = (1, inner[0], inner[1], .planar)
    case let inner where inner.count == 3 && [1, 3].contains(inner[2]):
      (channels, height, width, order) = (inner[2], inner[0], inner[1], .interleaved)
    case let inner where inner.count == 3 && [1, 3].contains(inner[0]):
      (channels, height, width, order) = (inner[0], inner[1], inner[2], .planar)
    default:
      throw .malformed(
        path: path,
        problem: "has the shape \(sides), where images are [N, H, W], [N, H, W, C] or [N, C, H, W], C 1 or 3")
    }
    guard sides[0] > 0, (1...Self.largestSide).contains(height), (1...Self.largestSide).contains(width) else {
      throw .malformed(path: path, problem: "has the shape \(sides), which is not a shape of images")
    }
    self.init(count: sides[0], ImageShape(channels: channels, height: height, width: width), order)
  }

  /// Reads the first images, at most `limit`. Throws a ``DatasetError`` before allocating memory if the file is too
  /// short or memory is insufficient.
  func read(_ reader: ByteReader, limit: Int?) throws(DatasetError) -> PixelBuffer {
    let count = min(count, limit ?? Int.max)
    let (bytes, overflow) = count.multipliedReportingOverflow(by: shape.count)
    try reader.require(overflow ? nil : bytes, for: "\(count) images of \(shape)")
    return try read(limit: limit, path: reader.path) { count throws(DatasetError) in try reader.read(count) }
  }

  /// Reads the first images from `next`, which returns a given number of bytes. The source has enough bytes.
  func read(
    limit: Int?, path: String, _ next: (Int) throws(DatasetError) -> [UInt8]
  ) throws(DatasetError) -> PixelBuffer {
    let count = min(count, limit ?? Int.max)
    let bytes = count * shape.count
    // A label takes 8 bytes and may be read later.
    try Self.requireMemory(bytes + 8 * count, path: path)
    if order == .planar { return PixelBuffer(try next(bytes), count: count, shape) }
    var planar = [UInt8](repeating: 0, count: bytes)
    for index in 0..<count {
      let image = try next(shape.count)
      planar.withUnsafeMutableBufferPointer { planar in
        image.withUnsafeBufferPointer { image in
          if let start = planar.baseAddress {
            PixelView(image, shape, order).copy(into: start + index * shape.count)
          }
        }
      }
    }
    return PixelBuffer(planar, count: count, shape)
  }

  /// Throws if `bytes` is above the memory limit of the process.
  static func requireMemory(_ bytes: Int, path: String) throws(DatasetError) {
    let memory = ProcessMemory.limit
    guard bytes <= memory else { throw .tooLarge(path: path, bytes: bytes, memory: memory) }
  }
}

/// The labels of an array of images.
struct LabelArray {
  let labels: [Int]
  /// The largest label plus 1.
  let classes: Int

  /// The maximum number of classes.
  private static let mostClasses = 1 << 20

  /// Throws a ``DatasetError`` unless there is a label of 0 or more for each of `images` images. Keeps the first
  /// `taken` labels.
  init(_ labels: [Int], images: Int, taken: Int, path: String) throws(DatasetError) {
    try Self.require(labels.count, of: images, path: path)
    if let record = labels.firstIndex(where: { !(0..<Self.mostClasses).contains($0) }) {
      throw .badLabel(path: path, record: record, label: labels[record], classes: Self.mostClasses)
    }
    // Counts classes over all labels, so that their number does not depend on how many images are taken.
    classes = (labels.max() ?? 0) + 1
    self.labels = Array(labels.prefix(taken))
  }

  /// Throws unless there are as many labels as images; called before the labels are read.
  static func require(_ labels: Int, of images: Int, path: String) throws(DatasetError) {
    guard labels == images else {
      throw .malformed(path: path, problem: "has \(labels) labels for \(images) images")
    }
  }
}
