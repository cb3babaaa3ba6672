import DataFiles
import Datasets
import Testing

@Suite struct ContactSheetTests {
  /// Reads the sheet as an image: six views next to each original, at 96 pixels, with gaps of 4.
  @Test func showsImagesBesideTheirViews() throws {
    let files = try TestFiles()
    let images = Shapes.generate(count: 3, size: 32, channels: 3, seed: 1, role: .train)
    let sheet = ContactSheet(images, ImageFit(size: 32, channels: 3), AugmentationSettings(), seed: 5)
    try sheet.write(to: files.path + "/sheet.png")
    let set = try DataSpec(parsing: "folder:\(files.path)").load(
      role: .train, for: ImageFit(size: 1024, channels: 3))
    let shape = ImageShape(channels: 3, height: 3 * 100 + 4, width: 7 * 100 + 4)
    #expect(set.foundShape(of: 0) == shape)
    // An image more than twice as long as wide is cropped: of 704 columns, 48 are lost on either side.
    let bytes = set.bytes(0)
    func pixel(_ channel: Int, _ y: Int, _ x: Int) -> UInt8 { bytes[(channel * 304 + y) * 608 + x - 48] }
    for row in 0..<3 {
      // The right part of the original, each pixel three times as large.
      for (y, x) in [(0, 20), (17, 25), (31, 31)] {
        for channel in 0..<3 {
          let expected = images.bytes(row)[(channel * 32 + y) * 32 + x]
          #expect(pixel(channel, 4 + row * 100 + 3 * y + 1, 4 + 3 * x + 1) == expected)
        }
      }
    }
    #expect((0..<304).allSatisfy { pixel(0, $0, 101) == 255 }, "white between the columns")
    let views = (1...6).map { column in (0..<96).map { pixel(1, 4 + $0, 4 + column * 100 + 40) } }
    #expect(Set(views).count == 6, "no view is like another")
  }

  @Test func aPlaceThatCannotBeWrittenIsAnError() {
    let images = Shapes.generate(count: 1, size: 8, channels: 1, seed: 1, role: .train)
    let sheet = ContactSheet(images, ImageFit(size: 8, channels: 1), AugmentationSettings(), seed: 5)
    let error = #expect(throws: DatasetError.self) { try sheet.write(to: "/dev/null/sheet.png") }
    #expect(error?.description.hasPrefix("/dev/null/sheet.png: cannot be written: ") == true)
  }
}
