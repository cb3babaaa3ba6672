import Engine
import Synchronization

/// Normal noise that a client's examples have in a partition by noise (feature skew of arXiv 2102.02079, section 4.2).
///
/// The noise of an example depends on the seed, the client and the example alone, so that it is the same in each epoch
/// and after a restart.
package struct FeatureNoise: Sendable, Hashable {
  /// The standard deviation: of images in units of full brightness, of rows in those of a column's deviation.
  package let deviation: Double
  let seed: UInt64

  /// Creates the noise of client `index` of `count`: the deviation is `largest` · (index + 1) / count, so that the last
  /// client has the largest.
  init(_ largest: Double, client index: Int, of count: Int, seed: UInt64) {
    deviation = largest * Double(index + 1) / Double(count)
    self.seed = RandomNumbers.derive(seed, "feature noise", [index, count])
  }
}

extension Dataset {
  /// Returns the examples with noise; nil for nodes, whose features have none.
  func with(_ noise: FeatureNoise) -> Dataset? {
    switch self {
    case .images(let images): .images(images.mapped { NoisyImages($0, noise) })
    case .rows(let rows): .rows(rows.with(noise))
    case .nodes: nil
    }
  }
}

/// The images of another source with noise, which is added to the values of an image as it is stored for the encoder,
/// rounded to bytes, and cut off at black and white.
final class NoisyImages: ImageSource {
  private let source: any ImageSource
  private let noise: FeatureNoise
  /// The noisy images in memory, because drawing noise takes longer than an augmentation.
  private let cache = ImageCache(limit: 64_000_000)

  init(_ source: any ImageSource, _ noise: FeatureNoise) { (self.source, self.noise) = (source, noise) }

  var count: Int { source.count }
  var channels: Int { source.channels }
  var longestSide: Int { source.longestSide }
  var broken: [BrokenFile] { source.broken }
  var passedOver: PassedOver { source.passedOver }
  var unreadable: Set<Int> { source.unreadable }

  var spareBytes: Int { source.spareBytes + cache.limit - cache.bytes }

  func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result {
    if let image = cache[index] { return image.withView(body) }
    let image = source.withImage(index) { noisy($0, index) }
    cache.insert(image, at: index)
    return image.withView(body)
  }

  private func noisy(_ image: ImageBytes, _ index: Int) -> DecodedImage {
    var random = RandomNumbers(noise.seed, "image", index)
    let deviation = Float(noise.deviation * 255)
    let bytes = image.bytes.map { byte in
      UInt8(min(max((Float(byte) + deviation * random.normal()).rounded(), 0), 255))
    }
    return DecodedImage(bytes: bytes, shape: image.shape)
  }

  func path(of index: Int) -> String? { source.path(of: index) }
  func shape(of index: Int) -> ImageShape { source.shape(of: index) }
  func isFitted(to fit: ImageFit) -> Bool { source.isFitted(to: fit) }
  func fitted(to fit: ImageFit) -> any ImageSource { NoisyImages(source.fitted(to: fit), noise) }

  func verify(_ indices: [Int], _ workers: Workers, each: @Sendable () -> Void) {
    source.verify(indices, workers, each: each)
  }
}

extension FeatureRows {
  /// Returns rows whose inputs have noise of `noise.deviation` times the standard deviation of their column; a constant
  /// column stays.
  func with(_ noise: FeatureNoise) -> FeatureRows {
    let deviations = (0..<inputCount).map { column in
      let values = (0..<count).map { inputs(of: $0)[inputs(of: $0).startIndex + column] }
      let mean = values.reduce(0, +) / Double(count)
      return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)).squareRoot()
    }
    return mappingInputs { row, values in
      var random = RandomNumbers(noise.seed, "row", row)
      return zip(values, deviations).map { $0 + noise.deviation * $1 * random.doubleNormal() }
    }
  }
}
