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
  /// Bytes that the decoder holds of each of the image's pixels at once; 0 where it goes over them row by row, at any
  /// scale.
  let bytesHeld: Int

  /// Larger images would take more memory to decode than a small machine has: 64 million pixels.
  static let largestArea = 1 << 26
  /// Larger ones would take more time, even where only a few rows are held at once: 256 million pixels. A telephone's
  /// camera has up to 200.
  static let largestAreaByRows = 1 << 28

  /// Of an image that is stored at `height` x `width`. Throws where nobody should try to decode it.
  init(
    _ format: Format, channels: Int, height: Int, width: Int, bytesHeld: Int,
    _ orientation: Orientation = .topLeft
  ) throws(ImageFault) {
    guard height > 0, width > 0 else { throw ImageFault("it has no pixels") }
    try Self.require(height: height, width: width, bytesHeld > 0 ? Self.largestArea : Self.largestAreaByRows)
    (self.format, self.orientation, self.bytesHeld) = (format, orientation, bytesHeld)
    shape = ImageShape(
      channels: channels, height: orientation.swapsAxes ? width : height,
      width: orientation.swapsAxes ? height : width)
  }

  /// Throws where so many pixels are more than `most`.
  static func require(height: Int, width: Int, _ most: Int = largestArea) throws(ImageFault) {
    let (area, overflow) = height.multipliedReportingOverflow(by: width)
    guard overflow || area > most else { return }
    throw ImageFault("\(width) x \(height) pixels are more than \(most)")
  }

  /// The scale 1, 1/2, 1/4 or 1/8 at which the shorter side is just at least `shorterSide`, as far as the format has
  /// scales.
  func divisor(shorterSide: Int) -> Int {
    guard format == .jpeg else { return 1 }
    return [8, 4, 2].first { (shape.shorterSide + $0 - 1) / $0 >= shorterSide } ?? 1
  }

  /// Bytes that decoding takes at most, beside the file's own.
  func decodingBytes(shorterSide: Int) -> Int {
    let (area, divisor) = (shape.height * shape.width, divisor(shorterSide: shorterSide))
    return area * bytesHeld + (format == .jpeg ? 3 * area / (divisor * divisor) : 0)
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
