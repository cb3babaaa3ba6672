import DataFiles
import CTurboJPEG
import Datasets
import Foundation
import Testing

@Suite struct JPEGDecoderTests {
  private let files = try! TestFiles()

  /// Returns the image of the only file of a folder, for an encoder large enough to keep its size.
  private func image(_ file: [UInt8], channels: Int = 3, size: Int = 64) throws -> ImageSet {
    try files.write("image.jpg", file)
    return try ImageFolder(files.path).images(for: ImageFit(size: size, channels: channels), cache: 1 << 20)
  }

  /// A picture of four plain quarters: red and green at the top, blue and white below; 32 rows, 48 columns.
  private static let quarters: [UInt8] = (0..<32 * 48).flatMap { place -> [UInt8] in
    switch (place / 48 < 16, place % 48 < 24) {
    case (true, true): [250, 10, 10]
    case (true, false): [10, 250, 10]
    case (false, true): [10, 10, 250]
    case (false, false): [245, 245, 245]
    }
  }

  /// Returns the colour in the middle of each quarter, row by row: R, G, B or W.
  private func corners(_ set: ImageSet) -> String {
    set.withImage(0) { image in
      let (height, width) = (image.shape.height, image.shape.width)
      return [(1, 1), (1, 3), (3, 1), (3, 3)].map { y, x in
        let place = y * height / 4 * width + x * width / 4
        let colour = (0..<3).map { image.bytes[$0 * height * width + place] > 128 }
        return [[true, false, false]: "R", [false, true, false]: "G", [false, false, true]: "B"][colour]
          ?? "W"
      }.joined()
    }
  }

  @Test(arguments: [TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411])
  func coloursComeBackWhateverTheSubsampling(subsampling: TJSAMP) throws {
    let file = try Make.jpeg(Self.quarters, height: 32, width: 48, subsampling: subsampling)
    let set = try image(file)
    #expect(corners(set) == "RGBW")
    #expect(set.shape(0) == ImageShape(channels: 3, height: 32, width: 48))
    // The planar pixels equal the interleaved original up to the quantisation at the best quality.
    let bytes = set.bytes(0)
    if subsampling == TJSAMP_444 {
      for place in 0..<32 * 48 {
        for channel in 0..<3 {
          let difference = Int(bytes[channel * 32 * 48 + place]) - Int(Self.quarters[place * 3 + channel])
          #expect(abs(difference) <= 6, "pixel \(place), channel \(channel)")
        }
      }
    }
  }

  /// The stored quarters R G / B W as displayed, by EXIF's definition of its eight values.
  @Test(arguments: [
    (1, "RGBW"), (2, "GRWB"), (3, "WBGR"), (4, "BWRG"), (5, "RBGW"), (6, "BRWG"), (7, "WGBR"), (8, "GWRB"),
  ])
  func theOrientationTurnsTheImage(value: Int, seen: String) throws {
    let stored = try Make.jpeg(Self.quarters, height: 32, width: 48)
    for (bigEndian, isLong) in [(false, false), (true, false), (false, true), (true, true)] {
      let set = try image(Make.oriented(stored, value, bigEndian: bigEndian, long: isLong))
      #expect(corners(set) == seen)
      let isTurned = value >= 5
      let shape = ImageShape(channels: 3, height: isTurned ? 48 : 32, width: isTurned ? 32 : 48)
      #expect(set.shape(0) == shape && set.foundShape(of: 0) == shape)
    }
  }

  @Test(arguments: [0, 9, 65535])
  func anOrientationThatThereIsNotIsNone(value: Int) throws {
    let file = Make.oriented(try Make.jpeg(Self.quarters, height: 32, width: 48), value)
    #expect(corners(try image(file)) == "RGBW")
  }

  @Test func aLargeImageIsDecodedSmallAndTurnedAllTheSame() throws {
    // 16 times as large: 32 x 48 of 512 x 768 pixels are kept for an encoder of 16.
    let large = (0..<512 * 768).flatMap { place -> ArraySlice<UInt8> in
      let small = (place / 768 / 16) * 48 + place % 768 / 16
      return Self.quarters[small * 3..<small * 3 + 3]
    }
    let set = try image(Make.oriented(try Make.jpeg(large, height: 512, width: 768), 6), size: 16)
    #expect(set.foundShape(of: 0) == ImageShape(channels: 3, height: 768, width: 512))
    #expect(set.shape(0) == ImageShape(channels: 3, height: 48, width: 32))
    #expect(corners(set) == "BRWG")
  }

  @Test func greyBecomesColourByRepetition() throws {
    let ramp = (0..<256).map { UInt8($0) }
    let set = try image(try Make.jpeg(ramp, height: 16, width: 16, channels: 1))
    #expect(set.foundShape(of: 0).channels == 1)
    let bytes = set.bytes(0)
    #expect(bytes[..<256] == bytes[256..<512] && bytes[..<256] == bytes[512...])
    #expect(zip(bytes, ramp).allSatisfy { abs(Int($0) - Int($1)) <= 3 })
  }

  @Test func colourBecomesItsLuma() throws {
    let set = try image(try Make.jpeg(Self.quarters, height: 32, width: 48), channels: 1)
    let bytes = set.bytes(0)
    // Rec. 601: 0.299 R + 0.587 G + 0.114 B.
    for (place, luma) in [(8 * 48 + 12, 82), (8 * 48 + 36, 151), (24 * 48 + 12, 37), (24 * 48 + 36, 245)] {
      #expect(abs(Int(bytes[place]) - luma) <= 4, "\(bytes[place]) for \(luma)")
    }
  }

  @Test func aProgressiveFileIsTaken() throws {
    let file = try Make.jpeg(Self.quarters, height: 32, width: 48, flags: TJFLAG_PROGRESSIVE)
    #expect(corners(try image(file)) == "RGBW")
  }

  /// With and without Adobe's segment, and as YCCK. The result is that of Pillow's `convert("RGB")`.
  @Test func cmykBecomesColourAsPillowHasIt() throws {
    let inks: [UInt8] = [200, 100, 50, 128]
    let planes = inks.map { [UInt8](repeating: $0, count: 64) }
    for file in [
      try Make.jpeg(scans: planes, height: 8, width: 8),
      try Make.jpeg(scans: planes, height: 8, width: 8, adobe: 0),
      try Make.jpeg((0..<64).flatMap { _ in inks }, height: 8, width: 8, channels: 4),
    ] {
      let set = try image(file)
      let bytes = set.bytes(0)
      #expect(set.broken.isEmpty && set.foundShape(of: 0).channels == 4 && set.shape(0).channels == 3)
      for (channel, expected) in [100, 50, 25].enumerated() {
        #expect(
          bytes[channel * 64..<(channel + 1) * 64].allSatisfy { abs(Int($0) - expected) <= 2 }, "\(bytes)")
      }
      // Rec. 601: 0.299 · 100 + 0.587 · 50 + 0.114 · 25 = 62.1.
      #expect(try image(file, channels: 1).bytes(0).allSatisfy { abs(Int($0) - 62) <= 2 })
    }
  }

  /// The decoder keeps all scans until the last has been read.
  @Test func severalScansAreCounted() throws {
    let planes = (1...3).map { Make.noise(64 * 64, seed: UInt64($0)) }
    let file = try Make.jpeg(scans: planes, height: 64, width: 64, adobe: 0)
    let set = try image(file)
    let decoded = set.bytes(0)
    #expect(zip(decoded, planes.flatMap { $0 }).allSatisfy { abs(Int($0) - Int($1)) <= 3 })
    let large = try Make.jpeg(
      scans: [[UInt8]](repeating: [UInt8](repeating: 9, count: 1024 * 1024), count: 3), height: 1024,
      width: 1024)
    #expect(try image(large).spareBytes >= 6 << 20, "two bytes for each number")
    let single = try Make.jpeg([UInt8](repeating: 9, count: 3 << 20), height: 1024, width: 1024)
    #expect(try image(single).spareBytes < 6 << 20)
    // The limit is that of images that are decoded as a whole.
    var claiming = file
    let frame = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xC0 })
    claiming.replaceSubrange(frame + 5..<frame + 9, with: Make.big(9000, 2) + Make.big(12000, 2))
    let error = #expect(throws: DatasetError.self) { try image(claiming) }
    #expect(error?.description.contains("12000 x 9000 pixels are more than 67108864") == true)
  }

  @Test func aMissingScanIsBroken() throws {
    let planes = (1...3).map { Make.noise(32 * 32, seed: UInt64($0)) }
    let file = try Make.jpeg(scans: planes, height: 32, width: 32)
    let starts = file.indices.dropLast().filter { file[$0] == 0xFF && file[$0 + 1] == 0xDA }
    let progressive = try Make.jpeg(Self.quarters, height: 32, width: 48, flags: TJFLAG_PROGRESSIVE)
    let last = try #require(
      progressive.indices.dropLast().last { progressive[$0] == 0xFF && progressive[$0 + 1] == 0xDA })
    for cut in [Array(file[..<starts[2]]) + [0xFF, 0xD9], Array(progressive[..<last])] {
      let set = try image(cut)
      _ = set.bytes(0)
      #expect(set.broken.count == 1)
    }
    let whole = try image(progressive)
    let expected = whole.bytes(0)
    #expect(try image(Array(progressive.dropLast(2))).bytes(0) == expected, "its scans are all there")
  }

  /// Irregularities in a file that do not affect its rows.
  @Test func odditiesAreTakenWhereAllRowsAreThere() throws {
    let file = try Make.jpeg(Make.noise(40 * 56 * 3, seed: 4), height: 40, width: 56)
    let expected = try image(file).bytes(0)
    var revision = file
    revision.replaceSubrange(11..<13, with: [0, 0])
    let table = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == 0xDB })
    let padding: [UInt8] = (0..<40).map { $0 % 2 == 0 ? 0x12 : 0x34 }
    func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
    let (before, behind, open) = (Array(file[..<table]), Array(file[table...]), Array(file.dropLast(2)))
    let oddities: [(String, [UInt8])] = [
      ("JFIF revision 0", revision), ("no end", open),
      ("padding before the end", joined(open, padding, [0xFF, 0xD9])),
      ("padding before a table", joined(before, padding, behind)),
      ("fill bytes", joined(before, [0xFF, 0xFF, 0xFF], behind)),
      ("padding behind the end", joined(file, padding)),
      ("a segment that nobody knows", joined(before, [0xFF, 0xEF, 0, 4, 1, 2], behind)),
    ]
    for (name, odd) in oddities {
      let set = try image(odd)
      #expect(set.bytes(0) == expected && set.broken.isEmpty, "\(name): \(set.broken)")
    }
    // EXIF may also follow padding.
    let turned = Make.oriented(file, 3)
    let exif = Array(turned[2..<2 + turned.count - file.count])
    // After the start and JFIF's segment.
    let padded = joined(Array(file[..<20]), padding, exif, Array(file[20...]))
    #expect(try image(turned).bytes(0) != expected)
    #expect(try image(padded).bytes(0) == image(turned).bytes(0))
    // A part of the last row is missing, or the second half is zeros, as after a disk error.
    let half = Array(file.prefix(file.count / 2))
    let damages: [(String, [UInt8])] = [
      ("cut off", Array(file.dropLast(40))),
      ("half zeros", joined(half, [UInt8](repeating: 0, count: half.count))),
      ("zeros without end", joined(half, [UInt8](repeating: 0, count: 20 * half.count))),
    ]
    for (name, damaged) in damages {
      let set = try image(damaged)
      _ = set.bytes(0)
      #expect(set.broken.count == 1, "\(name)")
    }
  }

  @Test(
    .enabled(if: SharedFolder.holds(SharedFolder.cases), "the cases are not beside the package"),
    arguments: ["extra-bytes-before-eoi", "jfif-revision-0", "no-eoi", "cmyk", "multi-scan-25-megapixels"])
  func theCasesAreTaken(name: String) throws {
    let set = try image(
      Array(Data(contentsOf: SharedFolder.cases.appendingPathComponent("jpeg-\(name).jpg"))))
    _ = set.bytes(0)
    #expect(set.broken.isEmpty)
    #expect(name != "multi-scan-25-megapixels" || set.spareBytes > 75_000_000)
  }

  /// A header after more bytes than are read at first.
  @Test func aHeaderBehindMuchElseIsFound() throws {
    var file = try Make.jpeg(Self.quarters, height: 32, width: 48)
    for _ in 0..<4 { file = Make.inserting(marker: 0xE2, [UInt8](repeating: 7, count: 60_000), into: file) }
    #expect(corners(try image(Make.oriented(file, 3))) == "WBGR")
    #expect(corners(try image(file)) == "RGBW")
  }

  @Test func aTruncatedFileIsBrokenAndNotHalfGrey() throws {
    let file = try Make.jpeg(Make.noise(64 * 64 * 3, seed: 1), height: 64, width: 64)
    let set = try image(Array(file.prefix(file.count / 2)))
    #expect(set.count == 1, "its header is whole")
    #expect(set.bytes(0).allSatisfy { $0 == 128 }, "nothing is left that could take its place")
    #expect(set.broken.map(\.path) == [files.path + "/image.jpg"])
  }

  /// Returns a file whose header claims a larger size.
  private func claiming(_ height: Int, _ width: Int, progressive: Bool = false) throws -> [UInt8] {
    var file = try Make.jpeg(
      Self.quarters, height: 32, width: 48, flags: progressive ? TJFLAG_PROGRESSIVE : 0)
    let marker: UInt8 = progressive ? 0xC2 : 0xC0
    let frame = try #require(file.indices.dropLast().first { file[$0] == 0xFF && file[$0 + 1] == marker })
    file.replaceSubrange(frame + 5..<frame + 9, with: Make.big(height, 2) + Make.big(width, 2))
    return file
  }

  /// 65,500 x 65,500 pixels would take 13 GB; a progressive file of 12,000 x 9,000 is held as a whole.
  @Test(arguments: [(65500, 65500, false), (9000, 12000, true)])
  func aHeaderThatPromisesTooMuchIsRejected(height: Int, width: Int, progressive: Bool) throws {
    let file = try claiming(height, width, progressive: progressive)
    let error = #expect(throws: DatasetError.self) { try image(file) }
    #expect(error?.description.contains("\(width) x \(height) pixels are more than") == true)
  }

  /// A phone's photograph is decoded at an eighth, row by row, unless the encoder is very large.
  @Test func aLargePhotographIsTaken() throws {
    let (height, width) = (9000, 12000)
    let set = try image(try Make.jpeg(try plain(height, width), height: height, width: width, channels: 1))
    #expect(set.foundShape(of: 0) == ImageShape(channels: 1, height: height, width: width))
    #expect(set.spareBytes < 64 << 20, "\(set.spareBytes)")
    #expect(set.bytes(0).allSatisfy { (99...101).contains($0) } && set.broken.isEmpty)
    let enormous = try image(try claiming(height, width), size: 8192)
    _ = enormous.bytes(0)
    #expect(enormous.broken.first?.reason == "12000 x 9000 pixels are more than 67108864")
  }

  private func plain(_ height: Int, _ width: Int) throws -> [UInt8] {
    [UInt8](repeating: 100, count: height * width)
  }
}
