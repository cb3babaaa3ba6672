import Engine

/// A few images' worth of normal noise, which stands for any image.
package struct NoiseImages: RowSource, Sendable {
  package let count = 8
  package let givesFeatures: Bool
  /// Floats of an image.
  private let size: Int
  private let values: [Float]

  /// `size` floats an image, or what a frozen prefix would leave of it.
  package init(size: Int, givesFeatures: Bool = false) {
    (self.size, self.givesFeatures) = (size, givesFeatures)
    var random = RandomNumbers(3)
    values = (0..<count * size).map { _ in random.normal() }
  }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    write(view + 2 * image, into: place)
  }

  /// Writes the image that stands for image `index`.
  package func write(_ index: Int, into place: UnsafeMutablePointer<Float>) {
    values.withUnsafeBufferPointer {
      if let start = $0.baseAddress { place.update(from: start + index % count * size, count: size) }
    }
  }
}
