/// An unowned view of an image of floats in 0 … 1, planar [C, H, W].
///
/// It is valid only as long as the memory it views. Operations work in place unless they say otherwise.
package struct PlanarImage {
  /// Element (c, y, x) is `start[(c · H + y) · W + x]`.
  package let start: UnsafeMutablePointer<Float>
  /// C, 1 or 3.
  package let channels: Int
  /// H, in pixels.
  package let height: Int
  /// W, in pixels.
  package let width: Int

  /// A view of C·H·W floats that the caller owns.
  @inline(__always)
  package init(_ start: UnsafeMutablePointer<Float>, channels: Int, height: Int, width: Int) {
    self.start = start
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// Pixels of a plane: H x W.
  package var area: Int { height * width }
  /// Numbers of the image: C x H x W.
  package var count: Int { channels * area }
  /// Whether it has colours to change; an image of one channel has not.
  var isColour: Bool { channels == 3 }

  @inline(__always)
  func plane(_ channel: Int) -> UnsafeMutablePointer<Float> { start + channel * area }
}

/// The vector that the loops over pixels compute with.
typealias Pixels = SIMD8<Float>

extension Pixels {
  @inline(__always)
  static func load(_ pointer: UnsafePointer<Float>) -> Pixels {
    UnsafeRawPointer(pointer).loadUnaligned(as: Pixels.self)
  }

  @inline(__always)
  func store(_ pointer: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(pointer).storeBytes(of: self, as: Pixels.self)
  }

  @inline(__always)
  static func smaller(_ a: Pixels, _ b: Pixels) -> Pixels { a.replacing(with: b, where: b .< a) }

  @inline(__always)
  static func larger(_ a: Pixels, _ b: Pixels) -> Pixels { a.replacing(with: b, where: a .< b) }

  /// Clamped to 0 … 1.
  @inline(__always)
  var clipped: Pixels {
    Pixels.smaller(Pixels.larger(self, .zero), Pixels(repeating: 1))
  }
}
