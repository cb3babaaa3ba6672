import Engine

/// Where the images of an ``ImageSet`` come from: bytes in memory, or files that are decoded on demand.
///
/// The same index gives the same bytes at any time and on any thread.
package protocol ImageSource: Sendable {
  /// How many images there are.
  var count: Int { get }
  /// C of every image, 1 or 3.
  var channels: Int { get }
  /// No image is longer, in pixels.
  var longestSide: Int { get }
  /// What could not be read so far, in the order of the paths.
  var broken: [BrokenFile] { get }
  /// Files that are not called as images are.
  var passedOver: PassedOver { get }
  /// Images that turned out so far to be none, and in whose place others are given.
  var unreadable: Set<Int> { get }
  /// By how many bytes its memory may still grow.
  var spareBytes: Int { get }

  /// Image 0 ..< `count`, as long as `body` runs.
  func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result
  /// The image's shape as it was found, before it was fitted to anything.
  func shape(of index: Int) -> ImageShape
  /// Whether its images are what an encoder is given already.
  func isFitted(to fit: ImageFit) -> Bool
  /// The same images for an encoder.
  func fitted(to fit: ImageFit) -> any ImageSource
  /// Reads the images at `indices` once, so that it is known which of them are broken.
  func verify(_ indices: [Int], _ workers: Workers, each: @Sendable () -> Void)
}

/// Channels, height and width of an image.
package struct ImageShape: Sendable, Hashable, CustomStringConvertible {
  /// C.
  package let channels: Int
  /// H, in pixels.
  package let height: Int
  /// W, in pixels.
  package let width: Int

  /// C x H x W; whether that makes sense is for who uses it.
  package init(channels: Int, height: Int, width: Int) {
    (self.channels, self.height, self.width) = (channels, height, width)
  }

  /// Bytes or numbers of the image: C x H x W.
  package var count: Int { channels * height * width }
  /// In pixels.
  package var shorterSide: Int { min(height, width) }
  /// In pixels.
  package var longerSide: Int { max(height, width) }

  /// As C x H x W.
  package var description: String { "\(channels) x \(height) x \(width)" }
}

/// An unowned view of an image's bytes, planar [C, H, W].
package struct ImageBytes {
  /// C·H·W bytes.
  package let bytes: UnsafeBufferPointer<UInt8>
  /// C, H, W.
  package let shape: ImageShape

  /// As floats in 0 … 1 (torchvision's `to_tensor`: byte / 255).
  package func write(into floats: UnsafeMutablePointer<Float>) {
    for i in 0..<bytes.count { floats[i] = Float(bytes[i]) / 255 }
  }

  /// The same bytes, to be read by their strides.
  var pixels: PixelView { PixelView(bytes, shape, .planar) }
}

/// An image's bytes, planar [C, H, W], in memory of its own.
package struct DecodedImage: Sendable, Equatable {
  /// C·H·W bytes.
  package let bytes: [UInt8]
  /// C, H, W.
  package let shape: ImageShape

  /// The image, as long as `body` runs.
  package func withView<Result>(_ body: (ImageBytes) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(ImageBytes(bytes: $0, shape: shape)) }
  }
}
