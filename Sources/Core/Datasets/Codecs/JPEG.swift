import CJPEG
import Engine

/// Decodes JPEG with libjpeg-turbo. A truncated file, which the library would fill with grey, counts as broken; a file
/// whose rows all decode is accepted despite other warnings.
enum JPEGDecoder {
  static func header(_ bytes: UnsafeBufferPointer<UInt8>) throws(ImageFault) -> ImageHeader {
    var header = CJPEGHeader()
    try ImageFault.reporting(CJPEG_MESSAGE) { cjpeg_read_header(bytes.baseAddress, bytes.count, &header, $0) }
    return try ImageHeader(
      .jpeg, channels: Int(header.channels), height: Int(header.height), width: Int(header.width),
      held: header.held, EXIF.orientation(ofJPEG: bytes))
  }

  /// Decodes at the smallest of the scales 1, 1/2, 1/4 and 1/8 whose shorter side is at least `shorterSide`; in grey if
  /// `channels` is 1.
  static func decode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ header: ImageHeader, shorterSide: Int, channels: Int
  ) throws(ImageFault) -> Raster {
    let stored = header.stored
    let divisor = header.divisor(shorterSide: shorterSide)
    let shape = ImageShape(
      channels: stored.channels == 4 ? 4 : min(channels, stored.channels),
      height: (stored.height + divisor - 1) / divisor, width: (stored.width + divisor - 1) / divisor)
    try ImageHeader.require(height: shape.height, width: shape.width)
    // Initialises the rows that a failing decoder does not write.
    var pixels = [UInt8](repeating: 0, count: shape.count)
    try ImageFault.reporting(CJPEG_MESSAGE) { message in
      cjpeg_decode(
        bytes.baseAddress, bytes.count, Int32(divisor), Int32(shape.channels), &pixels, pixels.count, message)
    }
    return shape.channels == 4 ? coloured(pixels, shape) : Raster(bytes: pixels, shape: shape)
  }

  /// Converts CMYK to RGB without a profile, with the same bytes as Pillow's `convert("RGB")`. The amounts of ink are
  /// stored inverted, as Adobe does and other software follows.
  private static func coloured(_ inks: [UInt8], _ shape: ImageShape) -> Raster {
    let area = shape.height * shape.width
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * area) { buffer, initialised in
      for pixel in 0..<area {
        let white = Int(inks[4 * pixel + 3])
        for channel in 0..<3 {
          let product = (255 - Int(inks[4 * pixel + channel])) * white + 128
          buffer[3 * pixel + channel] = UInt8(white - (((product >> 8) + product) >> 8))
        }
      }
      initialised = 3 * area
    }
    return Raster(bytes: pixels, shape: ImageShape(channels: 3, height: shape.height, width: shape.width))
  }
}

/// The marker segments of a JPEG before its first scan (ITU-T T.81, B.1.1).
struct JPEGSegments: IteratorProtocol {
  private let bytes: UnsafeBufferPointer<UInt8>
  /// The position after the start-of-image marker.
  private var offset = 2

  init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func next() -> (marker: UInt8, body: Slice<UnsafeBufferPointer<UInt8>>)? {
    // Any number of 0xFF may precede a marker, and decoders skip other bytes.
    while offset + 1 < bytes.count, bytes[offset] != 0xFF || [0, 0xFF].contains(bytes[offset + 1]) {
      offset += 1
    }
    guard offset + 4 <= bytes.count, bytes[offset] == 0xFF else { return nil }
    let marker = bytes[offset + 1]
    let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
    let end = offset + 2 + length
    let (startOfScan, endOfImage): (UInt8, UInt8) = (0xDA, 0xD9)
    guard marker != startOfScan, marker != endOfImage, length >= 2, end <= bytes.count else { return nil }
    defer { offset = end }
    return (marker, bytes[offset + 4..<end])
  }
}

/// Reads the orientation from the EXIF data of a JPEG or PNG (CIPA DC-008).
enum EXIF {
  private static let orientationTag = 0x0112
  /// The types of the value and their sizes in bytes: SHORT, as the standard requires, and LONG, which some software
  /// writes.
  private static let kinds = [3: 2, 4: 4]
  private static let entryBytes = 12

  /// Returns the orientation from a JPEG's APP1 segment. If anything is damaged or missing, the image is used as
  /// stored.
  static func orientation(ofJPEG bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var segments = JPEGSegments(bytes)
    while let segment = segments.next() {
      guard segment.marker == 0xE1, segment.body.starts(with: Array("Exif\0\0".utf8)) else { continue }
      return orientation(ofTIFF: UnsafeBufferPointer(rebasing: segment.body.dropFirst(6))) ?? .topLeft
    }
    return .topLeft
  }

  /// Returns the orientation from a PNG's eXIf chunk, before or after the pixels.
  static func orientation(ofPNG bytes: UnsafeBufferPointer<UInt8>) -> Orientation {
    var offset = 8
    while offset + 8 <= bytes.count {
      let length = bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
      let body = offset + 8
      guard length <= bytes.count - body else { break }
      if bytes[offset + 4..<body].elementsEqual("eXIf".utf8) {
        return orientation(ofTIFF: UnsafeBufferPointer(rebasing: bytes[body..<body + length])) ?? .topLeft
      }
      // A checksum follows the body.
      offset = body + length + 4
    }
    return .topLeft
  }

  /// Finds the tag in the first directory of a TIFF.
  private static func orientation(ofTIFF bytes: UnsafeBufferPointer<UInt8>) -> Orientation? {
    let isLittle = bytes.starts(with: [0x49, 0x49, 42, 0])
    guard isLittle || bytes.starts(with: [0x4D, 0x4D, 0, 42]) else { return nil }
    func number(_ offset: Int, bytes count: Int) -> Int? {
      guard offset >= 0, offset <= bytes.count - count else { return nil }
      return (0..<count).reduce(0) {
        $0 | Int(bytes[offset + $1]) << (8 * (isLittle ? $1 : count - 1 - $1))
      }
    }
    guard let directory = number(4, bytes: 4), let entries = number(directory, bytes: 2) else { return nil }
    for entry in 0..<entries {
      let offset = directory + 2 + entry * entryBytes
      guard let tag = number(offset, bytes: 2) else { return nil }
      guard tag == orientationTag else { continue }
      guard let kind = number(offset + 2, bytes: 2), let width = kinds[kind],
        number(offset + 4, bytes: 4) == 1
      else { return nil }
      return number(offset + 8, bytes: width).flatMap { Orientation(rawValue: $0) }
    }
    return nil
  }
}
