import Engine

/// Images of one shape in memory.
package struct PixelBuffer: ImageSource {
  /// [count, C, H, W].
  package let bytes: [UInt8]
  /// The number of images.
  package let count: Int
  /// The shape of each image.
  package let shape: ImageShape
  /// The original shape of each image, before it was fitted to an encoder.
  private let found: ImageShape

  /// Takes `count` images, stored contiguously: [count, C, H, W].
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

  package func path(of index: Int) -> String? { nil }
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

/// An unowned, strided view of an image's bytes.
struct PixelView {
  /// The order of the axes in memory.
  enum Order: Sendable, Hashable {
    /// [C, H, W].
    case planar
    /// [H, W, C].
    case interleaved
    /// [C, W, H]: stored by columns.
    case columns
  }

  /// Byte (c, y, x) is `start[c · channelStride + y · rowStride + x · columnStride]`.
  private(set) var start: UnsafePointer<UInt8>
  let channels: Int
  private(set) var height, width: Int
  private let channelStride: Int
  private(set) var rowStride, columnStride: Int

  /// Creates a view of C·H·W bytes.
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

  /// Returns the address of the first byte of a row of a channel.
  @inline(__always)
  func row(_ channel: Int, _ y: Int) -> UnsafePointer<UInt8> {
    start + channel * channelStride + y * rowStride
  }

  /// Returns a view of a rectangle, which must lie inside the image.
  func cropped(_ crop: Crop) -> PixelView {
    var view = self
    view.start += crop.top * rowStride + crop.left * columnStride
    (view.height, view.width) = (crop.height, crop.width)
    return view
  }

  /// Returns a view of the image in its display orientation.
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

  /// Copies interleaved colours in planar order, all three of a pixel at once.
  private func separate(into bytes: UnsafeMutablePointer<UInt8>) {
    let area = height * width
    for y in 0..<height {
      let (source, red) = (row(0, y), bytes + y * width)
      let (green, blue) = (red + area, red + 2 * area)
      for x in 0..<width {
        red[x] = source[3 * x]
        green[x] = source[3 * x + 1]
        blue[x] = source[3 * x + 2]
      }
    }
  }

  /// Copies the C·H·W bytes in planar order.
  func copy(into bytes: UnsafeMutablePointer<UInt8>) {
    if channels == 3 && channelStride == 1 && columnStride == 3 { return separate(into: bytes) }
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

/// The orientation of a stored image: the eight values of EXIF's tag Orientation (CIPA DC-008, 4.6.4.A). The names give
/// the displayed position of the stored image's first row and first column.
enum Orientation: Int, Sendable, CaseIterable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Whether stored rows are displayed as columns.
  var swapsAxes: Bool { rawValue >= 5 }
  /// Whether the row displayed first, after the swap, is the last in memory.
  var startsAtBottom: Bool {
    switch self {
    case .bottomRight, .bottomLeft, .rightBottom, .leftBottom: true
    default: false
    }
  }
  /// Whether the column displayed first, after the swap, is the last in memory.
  var startsAtRight: Bool {
    switch self {
    case .topRight, .bottomRight, .rightTop, .rightBottom: true
    default: false
    }
  }
}
