import Engine

/// Images of one shape in memory.
package struct PixelBuffer: ImageSource {
  /// [count, C, H, W].
  package let bytes: [UInt8]
  /// How many images there are.
  package let count: Int
  /// Of each image.
  package let shape: ImageShape
  /// What each image was before it was fitted to an encoder.
  private let found: ImageShape

  /// Takes `count` images, one after another: [count, C, H, W].
  package init(_ bytes: [UInt8], count: Int, _ shape: ImageShape) {
    self.init(bytes, count: count, shape, found: shape)
  }

  private init(_ bytes: [UInt8], count: Int, _ shape: ImageShape, found: ImageShape) {
    precondition(
      count >= 0 && shape.channels > 0 && shape.height > 0 && shape.width > 0
        && bytes.count == count * shape.count, "\(bytes.count) bytes for \(count) x \(shape)")
    (self.bytes, self.count, self.shape, self.found) = (bytes, count, shape, found)
  }

  package var channels: Int { shape.channels }
  package var longestSide: Int { shape.longerSide }
  package var broken: [BrokenFile] { [] }
  package var passedOver: PassedOver { PassedOver() }
  package var unreadable: Set<Int> { [] }
  package var spareBytes: Int { 0 }

  package func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result {
    let start = index * shape.count
    return bytes.withUnsafeBufferPointer {
      body(ImageBytes(bytes: UnsafeBufferPointer(rebasing: $0[start..<start + shape.count]), shape: shape))
    }
  }

  package func shape(of index: Int) -> ImageShape { found }

  package func isFitted(to fit: ImageFit) -> Bool { fit.keeps(shape) }

  package func fitted(to fit: ImageFit) -> any ImageSource {
    if isFitted(to: fit) { return self }
    let (kept, resampler) = (fit.kept(of: shape).shape, Resampler())
    var fitted: [UInt8] = []
    fitted.reserveCapacity(count * kept.count)
    for index in 0..<count {
      fitted += withImage(index) { fit.apply($0.pixels, resampler).bytes }
    }
    return PixelBuffer(fitted, count: count, kept, found: found)
  }

  package func verify(_ indices: [Int], _ workers: Workers, each: @Sendable () -> Void) {}
}
