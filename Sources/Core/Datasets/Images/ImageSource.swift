import Engine

/// The source of the images of an ``ImageSet``: bytes in memory, or files decoded on demand.
///
/// An index returns the same bytes at any time and on any thread.
package protocol ImageSource: Sendable {
  /// The number of images.
  var count: Int { get }
  /// The number of channels C of every image, 1 or 3.
  var channels: Int { get }
  /// The longest side of all images, in pixels.
  var longestSide: Int { get }
  /// The files found broken so far, ordered by path.
  var broken: [BrokenFile] { get }
  /// Files whose names are not those of images.
  var passedOver: PassedOver { get }
  /// The indices of images found unreadable so far, which other images replace.
  var unreadable: Set<Int> { get }
  /// The number of bytes by which the memory may still grow.
  var spareBytes: Int { get }

  /// Calls `body` with image 0 ..< `count`, which is valid while `body` runs.
  func withImage<Result>(_ index: Int, _ body: (ImageBytes) -> Result) -> Result
  /// Returns the path of an image's file; nil for an image without a file of its own.
  func path(of index: Int) -> String?
  /// Returns the original shape of an image, before it was fitted to an encoder.
  func shape(of index: Int) -> ImageShape
  /// Whether the images are already fitted to an encoder.
  func isFitted(to fit: ImageFit) -> Bool
  /// Returns the same images, fitted to an encoder.
  func fitted(to fit: ImageFit) -> any ImageSource
  /// Reads the images at `indices` once to find the broken ones.
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

  /// Creates a shape of C x H x W; the values are not checked.
  package init(channels: Int, height: Int, width: Int) {
    (self.channels, self.height, self.width) = (channels, height, width)
  }

  /// The number of bytes or values of the image: C x H x W.
  package var count: Int { channels * height * width }
  /// The shorter of height and width, in pixels.
  package var shorterSide: Int { min(height, width) }
  /// The longer of height and width, in pixels.
  package var longerSide: Int { max(height, width) }

  /// The shape as C x H x W.
  package var description: String { "\(channels) x \(height) x \(width)" }
}

/// An unowned view of an image's bytes, planar [C, H, W].
package struct ImageBytes {
  /// C·H·W bytes.
  package let bytes: UnsafeBufferPointer<UInt8>
  /// C, H, W.
  package let shape: ImageShape

  /// Writes the bytes as floats in 0 … 1 (torchvision's `to_tensor`: byte / 255).
  package func write(into floats: UnsafeMutablePointer<Float>) {
    for i in 0..<bytes.count { floats[i] = Float(bytes[i]) / 255 }
  }

  /// The same bytes as a strided view.
  var pixels: PixelView { PixelView(bytes, shape, .planar) }
}

/// An image's bytes, planar [C, H, W], with ownership of the memory.
package struct DecodedImage: Sendable, Equatable {
  /// C·H·W bytes.
  package let bytes: [UInt8]
  /// C, H, W.
  package let shape: ImageShape

  /// Calls `body` with a view of the image, which is valid while `body` runs.
  package func withView<Result>(_ body: (ImageBytes) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(ImageBytes(bytes: $0, shape: shape)) }
  }
}
