import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct DataReportTests {
  @Test func countsWhatIsThereAndWhatIsBroken() throws {
    let files = try TestFiles()
    func put(_ name: String, _ height: Int, _ width: Int, channels: Int = 3) throws {
      try files.write(
        name,
        Make.png(
          Make.noise(height * width * channels, seed: 1), height: height, width: width, channels: channels))
    }
    try put("cat/1.png", 10, 20)
    try put("cat/2.png", 30, 20, channels: 1)
    try put("dog/3.png", 20, 25)
    try files.write("dog/4.png", [1])
    let whole = try Make.png(Make.noise(300, seed: 2), height: 10, width: 10)
    try files.write("dog/5.png", Array(whole.dropLast(40)))
    let set = try DataSpec(parsing: "folder:\(files.path)").load(role: .train)
    let report = DataReport(set, Workers(2))
    #expect(report.images == 3 && report.grey == 1, "the one whose header alone is whole is not counted")
    #expect(report.height.min == 10 && report.height.median == 20 && report.height.max == 30)
    #expect(report.width.min == 20 && report.width.median == 20 && report.width.max == 25)
    #expect(report.classes.map(\.name) == ["cat", "dog"] && report.classes.map(\.count) == [2, 1])
    #expect(report.broken.map(\.path) == ["\(files.path)/dog/4.png", "\(files.path)/dog/5.png"])
  }

  @Test func cmykIsCounted() throws {
    let files = try TestFiles()
    let planes = (0..<4).map { [UInt8](repeating: UInt8(60 * $0), count: 64) }
    try files.write("1.jpg", Make.jpeg(scans: planes, height: 8, width: 8))
    try files.write("2.jpg", Make.jpeg(scans: Array(planes.prefix(3)), height: 8, width: 8))
    let report = DataReport(try DataSpec(parsing: "folder:\(files.path)").load(role: .train), Workers(1))
    #expect(report.images == 2 && report.cmyk == 1 && report.grey == 0 && report.broken.isEmpty)
  }

  /// A name cannot break its line or control a terminal.
  @Test func namesAreHarmless() throws {
    let files = try TestFiles()
    let file = try Make.png(Make.noise(12, seed: 1), height: 2, width: 2)
    try files.write("new\nline/1.png", file)
    try files.write("\u{1B}[31mred/2.png", file)
    try files.write("\u{1B}[31mred/3\n.png", [1])
    let report = DataReport(try DataSpec(parsing: "folder:\(files.path)").load(role: .train), Workers(1))
    #expect(report.classes.map(\.name) == ["\\u{1B}[31mred", "new\\nline"])
    #expect(report.broken.map(\.path) == ["\(files.path)/\\u{1B}[31mred/3\\n.png"])
  }

  @Test func classesWithoutNamesHaveNumbers() {
    let report = DataReport(
      Shapes.generate(count: 25, size: 8, channels: 1, seed: 1, role: .train), Workers(1))
    #expect(report.classes.count == 10 && report.classes[3].name == "3")
    #expect(report.classes.reduce(0) { $0 + $1.count } == 25 && report.grey == 25)
  }
}
