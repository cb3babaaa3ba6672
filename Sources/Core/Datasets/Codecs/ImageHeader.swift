import Foundation

/// Why an image's file cannot be used; the file's name comes from who reads it.
struct ImageFault: Error, Equatable {
  let reason: String

  init(_ reason: String) { self.reason = reason }

  /// Calls a C function that returns 0 where it fails, and writes up to `room` bytes of why.
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

/// What an image's file says of itself before its pixels.
struct ImageHeader: Sendable, Hashable {
  /// Formats, told apart by their first bytes, whatever the file is called.
  enum Format: Sendable, Hashable {
    case jpeg, png

    /// Nil for anything else than JPEG (ITU-T T.81, B.1.1.3) and PNG (ISO/IEC 15948, 5.2).
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
  /// As it is to be seen; of 4 channels where it is CMYK, which becomes colour.
  let shape: ImageShape
  let orientation: Orientation
  /// Bytes that the decoder holds of the image at once; 0 where it goes over it row by row, at any scale.
  let held: Int

  /// Larger images would take more memory to decode than a small machine has: 64 million pixels.
  static let largestArea = 1 << 26
  /// Larger ones would take more time, even where only a few rows are held at once: 256 million pixels. A telephone's
  /// camera has up to 200.
  static let largestAreaByRows = 1 << 28

  /// Of an image that is stored at `height` x `width`. Throws where nobody should try to decode it.
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

  /// As it is in the file.
  var stored: ImageShape {
    orientation.swapsAxes
      ? ImageShape(channels: shape.channels, height: shape.width, width: shape.height) : shape
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
    // CMYK has its four channels and then three.
    let channels = shape.channels == 4 ? 7 : 3
    return held + (format == .jpeg ? channels * area / (divisor * divisor) : 0)
  }

  /// Reads the header of a file of either format, of which `bytes` is the beginning.
  init(reading bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) {
    switch Format(bytes) {
    case .jpeg: self = try JPEGDecoder.header(bytes)
    case .png: self = try PNGDecoder.header(bytes)
    case nil: throw ImageFault(bytes.isEmpty ? "it is empty" : "it is neither JPEG nor PNG")
    }
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
