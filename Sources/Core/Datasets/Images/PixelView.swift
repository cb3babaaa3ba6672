/// An unowned view of an image's bytes, whatever the order of its axes.
struct PixelView {
  /// Which axis comes first in memory.
  enum Order: Sendable, Hashable {
    /// [C, H, W].
    case planar
    /// [H, W, C].
    case interleaved
    /// [C, W, H]: columns one after another.
    case columns
  }

  /// Byte (c, y, x) is `start[c · channelStride + y · rowStride + x · columnStride]`.
  private(set) var start: UnsafePointer<UInt8>
  let channels: Int
  private(set) var height, width: Int
  private let channelStride: Int
  private(set) var rowStride, columnStride: Int

  /// A view of C·H·W bytes.
  init(_ bytes: UnsafeBufferPointer<UInt8>, _ shape: ImageShape, _ order: Order) {
    guard let start = bytes.baseAddress, bytes.count == shape.count else {
      preconditionFailure("\(bytes.count) bytes for an image of \(shape)")
    }
    self.start = start
    (channels, height, width) = (shape.channels, shape.height, shape.width)
    switch order {
    case .planar: (channelStride, rowStride, columnStride) = (height * width, width, 1)
    case .interleaved: (channelStride, rowStride, columnStride) = (1, width * channels, channels)
    case .columns: (channelStride, rowStride, columnStride) = (height * width, 1, height)
    }
  }

  var shape: ImageShape { ImageShape(channels: channels, height: height, width: width) }

  /// The first byte of a row of a channel.
  @inline(__always)
  func row(_ channel: Int, _ y: Int) -> UnsafePointer<UInt8> {
    start + channel * channelStride + y * rowStride
  }

  /// A rectangle of it, which must lie inside.
  func cropped(_ crop: Crop) -> PixelView {
    var view = self
    view.start += crop.top * rowStride + crop.left * columnStride
    (view.height, view.width) = (crop.height, crop.width)
    return view
  }

  /// The image as it is to be seen.
  func oriented(_ orientation: Orientation) -> PixelView {
    var view = self
    if orientation.swapsAxes {
      (view.height, view.width) = (width, height)
      (view.rowStride, view.columnStride) = (columnStride, rowStride)
    }
    if orientation.startsAtBottom {
      view.start += (view.height - 1) * view.rowStride
      view.rowStride = -view.rowStride
    }
    if orientation.startsAtRight {
      view.start += (view.width - 1) * view.columnStride
      view.columnStride = -view.columnStride
    }
    return view
  }

  /// Writes C·H·W bytes, planar.
  func copy(into bytes: UnsafeMutablePointer<UInt8>) {
    var place = bytes
    for channel in 0..<channels {
      for y in 0..<height {
        let source = row(channel, y)
        for x in 0..<width { place[x] = source[x * columnStride] }
        place += width
      }
    }
  }
}
