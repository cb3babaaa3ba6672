import Engine

/// A few images' worth of normal noise, which stands for any image.
package struct NoiseImages: Sendable {
  private static let count = 8
  /// Floats of an image.
  private let size: Int
  private let values: [Float]

  /// `size` floats an image.
  package init(size: Int) {
    self.size = size
    var random = RandomNumbers(3)
    values = (0..<Self.count * size).map { _ in random.normal() }
  }

  /// Writes the image that stands for image `index`.
  package func write(_ index: Int, into place: UnsafeMutablePointer<Float>) {
    values.withUnsafeBufferPointer {
      if let start = $0.baseAddress { place.update(from: start + index % Self.count * size, count: size) }
    }
  }
}
