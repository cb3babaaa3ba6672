import DataFiles
import Datasets
import Testing

@Suite struct PNGDecoderTests {
  private let files = try! TestFiles()

  private func image(_ file: [UInt8], channels: Int = 3) throws -> ImageSet {
    try files.write("image.png", file)
    return try ImageFolder(files.path).images(for: ImageFit(size: 64, channels: channels), cache: 1 << 20)
  }

  /// [H, W, C] as [C, H, W].
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
    // One row with filter 0: 0x8000 and 0xFF00, not linear light, which would come out much brighter.
    let grey = Make.png(height: 1, width: 2, depth: 16, colour: 0, rows: [0, 0x80, 0x00, 0xFF, 0xFF])
    #expect(try image(grey, channels: 1).bytes(0) == [128, 255])
    let colour = Make.png(height: 1, width: 1, depth: 16, colour: 2, rows: [0, 0x20, 0, 0x40, 0, 0x60, 0])
    let bytes = try image(colour).bytes(0).map { Int($0) }
    #expect(zip(bytes, [0x20, 0x40, 0x60]).allSatisfy { abs($0 - $1) <= 1 }, "\(bytes)")
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
    // Half of it: the bytes are mixed, and not the amounts of light behind them.
    let half = try Make.png([200, 100, 0, 128], height: 1, width: 1, channels: 4)
    #expect(try image(half).bytes(0) == [227, 177, 127])
    // A colour that stands for transparency.
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
    #expect(set.broken.count == 1, "its checksum is another")
  }

  @Test func aHeaderThatPromisesTooMuchIsRefused() throws {
    let file = Make.png(height: 900_000, width: 900_000, depth: 8, colour: 2, rows: [0])
    let error = #expect(throws: DatasetError.self) { try image(file) }
    #expect(error?.description.contains("900000 x 900000 pixels are more than") == true)
  }
}
