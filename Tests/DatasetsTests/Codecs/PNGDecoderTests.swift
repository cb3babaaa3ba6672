import DataFiles
import Datasets
import Foundation
import Testing

@Suite struct PNGDecoderTests {
  private let files = try! TestFiles()

  private func image(_ file: [UInt8], channels: Int = 3) throws -> ImageSet {
    try files.write("image.png", file)
    return try ImageFolder(files.path).images(for: ImageFit(size: 64, channels: channels), cache: 1 << 20)
  }

  /// Returns [H, W, C] as [C, H, W].
  private func planar(_ pixels: [UInt8], channels: Int) -> [UInt8] {
    (0..<channels).flatMap { channel in
      stride(from: channel, to: pixels.count, by: channels).map { pixels[$0] }
    }
  }

  @Test func colourComesBackExactly() throws {
    let pixels = Make.noise(7 * 5 * 3, seed: 2)
    let set = try image(try Make.png(pixels, height: 7, width: 5))
    #expect(set.bytes(0) == planar(pixels, channels: 3))
    #expect(set.foundShape(of: 0) == ImageShape(channels: 3, height: 7, width: 5))
  }

  @Test func greyIsRepeatedOrStays() throws {
    let pixels = Make.noise(6 * 6, seed: 3)
    let file = try Make.png(pixels, height: 6, width: 6, channels: 1)
    #expect(try image(file).bytes(0) == pixels + pixels + pixels)
    #expect(try image(file, channels: 1).bytes(0) == pixels)
  }

  @Test func colourBecomesItsLuma() throws {
    let set = try image(try Make.png([200, 100, 50, 0, 255, 0], height: 1, width: 2), channels: 1)
    // 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2; 0.587 · 255 = 149.685.
    #expect(set.bytes(0) == [124, 150])
  }

  @Test func aPaletteBecomesItsColours() throws {
    let file = try Make.png(
      indices: [0, 1, 2, 1], palette: [255, 0, 0, 10, 20, 30, 0, 0, 250], height: 2, width: 2)
    #expect(try image(file).bytes(0) == [255, 10, 0, 10, 0, 20, 0, 20, 0, 30, 250, 30])
  }

  @Test func sixteenBitsLoseTheLowerEight() throws {
    // One row with filter 0: 0x8000 and 0xFF00, not as linear light, which would be much brighter.
    let grey = Make.png(height: 1, width: 2, depth: 16, colour: 0, rows: [0, 0x80, 0x00, 0xFF, 0xFF])
    #expect(try image(grey, channels: 1).bytes(0) == [128, 255])
    let colour = Make.png(height: 1, width: 1, depth: 16, colour: 2, rows: [0, 0x20, 0, 0x40, 0, 0x60, 0])
    let bytes = try image(colour).bytes(0).map { Int($0) }
    #expect(zip(bytes, [0x20, 0x40, 0x60]).allSatisfy { abs($0 - $1) <= 1 }, "\(bytes)")
  }

  /// Interlacing does not change the picture, at any depth and colour type.
  @Test(arguments: [(1, 1), (3, 2), (11, 13), (32, 32)])
  func interlacingChangesNothing(height: Int, width: Int) throws {
    for (colour, channels, depth) in [
      (0, 1, 8), (2, 3, 8), (4, 2, 8), (6, 4, 8), (0, 1, 16), (2, 3, 16), (4, 2, 16), (6, 4, 16),
    ] {
      let pixelBytes = channels * depth / 8
      let pixels = Make.noise(height * width * pixelBytes, seed: 7)
      let plain = try bytes(pixels, height, width, depth, colour, pixelBytes, interlaced: false)
      let interlaced = try bytes(pixels, height, width, depth, colour, pixelBytes, interlaced: true)
      #expect(plain == interlaced, "\(width) x \(height), depth \(depth), colour \(colour)")
      guard colour == 2 else { continue }
      // Without opacity the bytes are those of the file; 16 bits are rounded to the nearest 8.
      let samples = stride(from: 0, to: pixels.count, by: depth / 8).map { place -> UInt8 in
        guard depth == 16 else { return pixels[place] }
        let value = Int(pixels[place]) << 8 | Int(pixels[place + 1])
        return UInt8((Double(value) / 257).rounded())
      }
      #expect(interlaced == planar(samples, channels: 3))
    }
  }

  private func bytes(
    _ pixels: [UInt8], _ height: Int, _ width: Int, _ depth: Int, _ colour: Int, _ pixelBytes: Int,
    interlaced: Bool
  ) throws -> [UInt8] {
    let rows = Make.rows(
      pixels, height: height, width: width, pixelBytes: pixelBytes, interlaced: interlaced)
    let set = try image(
      Make.png(
        height: height, width: width, depth: UInt8(depth), colour: UInt8(colour), rows: rows,
        interlaced: interlaced))
    let bytes = set.bytes(0)
    #expect(set.broken.isEmpty)
    return bytes
  }

  @Test(.enabled(if: SharedFolder.holds(SharedFolder.cases), "the cases are not beside the package"))
  func anInterlacedImageOf16BitsIsWhatItWas() throws {
    let file = try Data(contentsOf: SharedFolder.cases.appendingPathComponent("png-16bit-interlaced.png"))
    let bytes = try image(Array(file)).bytes(0)
    // Ramps of 2048 per pixel to the right in red, downwards in green, and half of it in both directions in blue.
    for (channel, step) in [(2048, 0), (0, 2048), (1024, 1024)].enumerated() {
      for place in 0..<32 * 32 {
        let value = place % 32 * step.0 + place / 32 * step.1
        #expect(bytes[channel * 1024 + place] == UInt8((Double(value) / 257).rounded()))
      }
    }
  }

  /// Before the pixels, as usual, and after them.
  @Test(arguments: [1, 3, 6, 8], [true, false])
  func theOrientationTurnsTheImage(orientation: Int, isLong: Bool) throws {
    // Red and green side by side; with orientation 6, red is at the top.
    let rows: [UInt8] = [0, 255, 0, 0, 0, 255, 0]
    let chunk = [("eXIf", Make.exif(orientation, bigEndian: true, long: isLong))]
    for isBehind in [false, true] {
      let set = try image(
        Make.png(
          height: 1, width: 2, depth: 8, colour: 2, rows: rows, chunks: isBehind ? [] : chunk,
          behind: isBehind ? chunk : []))
      let isTurned = orientation >= 5
      let shape = ImageShape(channels: 3, height: isTurned ? 2 : 1, width: isTurned ? 1 : 2)
      #expect(set.shape(0) == shape && set.foundShape(of: 0) == shape)
      #expect(set.bytes(0)[0] == ([1, 6].contains(orientation) ? 255 : 0), "orientation \(orientation)")
    }
  }

  @Test func singleBitsAreBlackAndWhite() throws {
    let file = Make.png(height: 2, width: 3, depth: 1, colour: 0, rows: [0, 0b1010_0000, 0, 0b0100_0000])
    #expect(try image(file, channels: 1).bytes(0) == [255, 0, 255, 0, 255, 0])
  }

  @Test func whatIsTransparentLiesOnWhite() throws {
    let colour = try Make.png([255, 0, 0, 255, 0, 0, 0, 0], height: 1, width: 2, channels: 4)
    #expect(try image(colour).bytes(0) == [255, 255, 0, 255, 0, 255])
    let grey = try Make.png([0, 255, 77, 0], height: 1, width: 2, channels: 2)
    #expect(try image(grey, channels: 1).bytes(0) == [0, 255])
    // Half opacity: the bytes are mixed, not linear light.
    let half = try Make.png([200, 100, 0, 128], height: 1, width: 1, channels: 4)
    #expect(try image(half).bytes(0) == [227, 177, 127])
    // A colour that marks transparency.
    let keyed = Make.png(
      height: 1, width: 2, depth: 8, colour: 0, rows: [0, 5, 9], chunks: [("tRNS", [0, 5])])
    #expect(try image(keyed, channels: 1).bytes(0) == [255, 9])
  }

  @Test func aTruncatedFileIsBroken() throws {
    let file = try Make.png(Make.noise(32 * 32 * 3, seed: 5), height: 32, width: 32)
    let set = try image(Array(file.prefix(file.count / 2)))
    #expect(set.bytes(0).allSatisfy { $0 == 128 })
    #expect(set.broken.count == 1)
  }

  @Test func aDamagedFileIsBroken() throws {
    var file = try Make.png(Make.noise(32 * 32 * 3, seed: 5), height: 32, width: 32)
    file[file.count / 2] ^= 1
    let set = try image(file)
    _ = set.bytes(0)
    #expect(set.broken.count == 1, "its checksum differs")
  }

  @Test func aHeaderThatPromisesTooMuchIsRejected() throws {
    let file = Make.png(height: 900_000, width: 900_000, depth: 8, colour: 2, rows: [0])
    let error = #expect(throws: DatasetError.self) { try image(file) }
    #expect(error?.description.contains("900000 x 900000 pixels are more than") == true)
  }
}
