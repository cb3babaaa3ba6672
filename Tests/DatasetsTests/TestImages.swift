import Datasets
import Engine

/// Test images generated from a seed.
enum TestImages {
  /// Returns [channels, size, size] of uniform noise in 0 … 1.
  static func random(channels: Int, size: Int, seed: UInt64) -> [Float] {
    var random = RandomNumbers(seed)
    return (0..<channels * size * size).map { _ in random.uniform() }
  }

  /// Returns a set of one-pixel images with these labels, for partitions.
  static func labelled(_ labels: [Int], classes: Int) -> ImageSet {
    ImageSet(
      pixels: [UInt8](repeating: 0, count: labels.count), count: labels.count, channels: 1, size: 1,
      labels: labels, classes: classes)
  }
}
