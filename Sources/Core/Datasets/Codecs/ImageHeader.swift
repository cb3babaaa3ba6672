/// Why an image's file cannot be used; the file's name comes from who reads it.
struct ImageFault: Error, Equatable {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}

/// What an image's file says of itself before its pixels.
struct ImageHeader: Sendable, Hashable {
  /// Formats, told apart by their first bytes, whatever the file is called.
  enum Format: Sendable, Hashable {
    case jpeg, png
  }

  let format: Format
  /// As it is to be seen.
  let shape: ImageShape
  let orientation: Orientation

  /// Larger images would take more memory to decode than a small machine has: 64 million pixels.
  static let largestArea = 1 << 26

  /// Of an image that is stored at `height` x `width`. Throws where nobody should try to decode it.
  init(
    _ format: Format, channels: Int, height: Int, width: Int, _ orientation: Orientation = .topLeft
  ) throws(ImageFault) {
    guard height > 0, width > 0 else { throw ImageFault("it has no pixels") }
    let (area, overflow) = height.multipliedReportingOverflow(by: width)
    guard !overflow, area <= Self.largestArea else {
      throw ImageFault("\(width) x \(height) pixels are more than \(Self.largestArea)")
    }
    self.format = format
    self.orientation = orientation
    shape = ImageShape(
      channels: channels, height: orientation.swapsAxes ? width : height,
      width: orientation.swapsAxes ? height : width)
  }

  /// Reads the header of a file of either format, of which `bytes` is the beginning.
  init(reading bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) {
    switch Self.format(of: bytes) {
    case .jpeg: self = try JPEGDecoder.header(bytes)
    case .png: self = try PNGDecoder.header(bytes)
    case nil: throw ImageFault(bytes.isEmpty ? "it is empty" : "it is neither JPEG nor PNG")
    }
  }

  /// Nil for anything else than JPEG (ITU-T T.81, B.1.1.3) and PNG (ISO/IEC 15948, 5.2).
  private static func format(of bytes: UnsafeBufferPointer<UInt8>) -> Format? {
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
    return bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) ? .png : nil
  }
}

/// An image as a decoder leaves it: [H, W, C].
struct Raster {
  let bytes: [UInt8]
  /// As stored, before its orientation.
  let shape: ImageShape

  func withPixels<Result>(_ body: (PixelView) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(PixelView($0, shape, .interleaved)) }
  }
}
