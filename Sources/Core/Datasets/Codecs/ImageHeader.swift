import Foundation

/// The reason why an image file cannot be used; the caller adds the file's name.
struct ImageFault: Error, Equatable {
  let reason: String

  init(_ reason: String) { self.reason = reason }

  /// Calls a C function that returns 0 on failure and writes up to `room` bytes of an error message.
  static func reporting(
    _ room: Int, _ body: (UnsafeMutablePointer<CChar>) -> Int32
  ) throws(ImageFault) {
    var succeeded = false
    let message = String(unsafeUninitializedCapacity: room) { buffer in
      buffer.withMemoryRebound(to: CChar.self) { buffer in
        buffer[0] = 0
        guard let place = buffer.baseAddress else { return 0 }
        succeeded = body(place) != 0
        return strnlen(place, room)
      }
    }
    guard succeeded else { throw ImageFault(message.isEmpty ? "it cannot be decoded" : message) }
  }
}

/// The header of an image file.
struct ImageHeader: Sendable, Hashable {
  /// The format, detected from the first bytes, whatever the file's name.
  enum Format: Sendable, Hashable {
    case jpeg, png

    /// Detects JPEG (ITU-T T.81, B.1.1.3) and PNG (ISO/IEC 15948, 5.2); nil for other formats.
    init?(_ bytes: some Collection<UInt8>) {
      if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
        self = .jpeg
      } else if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
        self = .png
      } else {
        return nil
      }
    }
  }

  let format: Format
  /// The shape after orientation; 4 channels mean CMYK, which is converted to colour.
  let shape: ImageShape
  let orientation: Orientation
  /// The bytes that the decoder holds for the whole image; 0 if it decodes row by row, at any scale.
  let held: Int

  /// The largest area of an image that is decoded as a whole, 64 million pixels: small machines lack memory for more.
  static let largestArea = 1 << 26
  /// The largest area of an image that is decoded row by row, 256 million pixels: a limit on time. Telephone cameras
  /// have up to 200 million.
  static let largestAreaByRows = 1 << 28

  /// Creates the header of an image stored at `height` x `width`. Throws if the image is empty or too large to decode.
  init(
    _ format: Format, channels: Int, height: Int, width: Int, held: Int,
    _ orientation: Orientation = .topLeft
  ) throws(ImageFault) {
    guard height > 0, width > 0 else { throw ImageFault("it has no pixels") }
    try Self.require(height: height, width: width, held > 0 ? Self.largestArea : Self.largestAreaByRows)
    (self.format, self.orientation, self.held) = (format, orientation, held)
    shape = ImageShape(
      channels: channels, height: orientation.swapsAxes ? width : height,
      width: orientation.swapsAxes ? height : width)
  }

  /// The shape as stored, before orientation.
  var stored: ImageShape {
    orientation.swapsAxes
      ? ImageShape(channels: shape.channels, height: shape.width, width: shape.height) : shape
  }

  /// Throws if the area is larger than `most` pixels.
  static func require(height: Int, width: Int, _ most: Int = largestArea) throws(ImageFault) {
    let (area, overflow) = height.multipliedReportingOverflow(by: width)
    guard overflow || area > most else { return }
    throw ImageFault("\(width) x \(height) pixels are more than \(most)")
  }

  /// Returns the largest divisor 1, 2, 4 or 8 for which the shorter side is still at least `shorterSide`; 1 for PNG,
  /// which has no scaled decoding.
  func divisor(shorterSide: Int) -> Int {
    guard format == .jpeg else { return 1 }
    return [8, 4, 2].first { (shape.shorterSide + $0 - 1) / $0 >= shorterSide } ?? 1
  }

  /// Returns the maximum number of bytes that decoding takes in addition to the file.
  func decodingBytes(shorterSide: Int) -> Int {
    let (area, divisor) = (shape.height * shape.width, divisor(shorterSide: shorterSide))
    // CMYK takes four channels and then three.
    let channels = shape.channels == 4 ? 7 : 3
    return held + (format == .jpeg ? channels * area / (divisor * divisor) : 0)
  }

  /// Reads the header of a JPEG or PNG file; `bytes` is the start of the file.
  init(reading bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) {
    switch Format(bytes) {
    case .jpeg: self = try JPEGDecoder.header(bytes)
    case .png: self = try PNGDecoder.header(bytes)
    case nil: throw ImageFault(bytes.isEmpty ? "it is empty" : "it is neither JPEG nor PNG")
    }
  }
}

/// A decoded image: [H, W, C].
struct Raster {
  let bytes: [UInt8]
  /// The shape as stored, before orientation.
  let shape: ImageShape

  func withPixels<Result>(_ body: (PixelView) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(PixelView($0, shape, .interleaved)) }
  }
}
