import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct FolderImagesTests {
  private let files = try! TestFiles()

  private func put(_ name: String, _ red: UInt8) throws {
    try files.write(name, Make.png((0..<16).flatMap { _ in [red, 0, 0] }, height: 4, width: 4))
  }

  private func images(cache: String = "1MB") throws -> ImageSet {
    try DataSpec(parsing: "folder:\(files.path)?cache=\(cache)").load(
      role: .train, for: ImageFit(size: 8, channels: 3))
  }

  private func red(_ set: ImageSet, _ index: Int) -> UInt8 { set.bytes(index)[0] }

  @Test func theNextOfTheClassTakesThePlaceOfABrokenFile() throws {
    try put("a/1.png", 1)
    try put("a/2.png", 2)
    try put("b/3.png", 3)
    try put("b/4.png", 4)
    let set = try images()
    // Broken after the folder was opened: truncated, and removed.
    let file = try Data(contentsOf: URL(fileURLWithPath: files.path + "/a/2.png"))
    try files.write("a/2.png", Array(file.dropLast(30)))
    try FileManager.default.removeItem(atPath: files.path + "/b/3.png")
    #expect((0..<4).map { red(set, $0) } == [1, 1, 4, 4])
    #expect(set.broken.map(\.path) == ["a/2.png", "b/3.png"].map { "\(files.path)/\($0)" })
    #expect(set.labels == [0, 0, 1, 1])
    // They are recorded once, however often they are requested.
    #expect((0..<4).map { red(set.subset([3, 2, 1, 0]), $0) } == [4, 4, 1, 1])
    #expect(set.broken.count == 2)
  }

  @Test func aClassThatIsGoneIsGrey() throws {
    try put("a/1.png", 1)
    try put("b/2.png", 2)
    let set = try images()
    try FileManager.default.removeItem(atPath: files.path + "/b/2.png")
    #expect(set.bytes(1).allSatisfy { $0 == 128 })
    #expect(red(set, 0) == 1)
  }

  @Test func verifyFindsWhatHeadersDoNotTell() throws {
    for red in 1...20 { try put("\(red).png", UInt8(red)) }
    let file = try Data(contentsOf: URL(fileURLWithPath: files.path + "/7.png"))
    try files.write("7.png", Array(file.dropLast(20)))
    let set = try images()
    #expect(set.count == 20 && set.broken.isEmpty && set.unreadable == 0)
    #expect(set.verify(Workers(4)).map(\.path) == [files.path + "/7.png"])
    #expect(set.unreadable == 1)
    let error = #expect(throws: DatasetError.self) {
      try DataSpec(parsing: "folder:\(files.path)").load(role: .train, strict: true)
    }
    #expect(error?.description.contains("1 broken file is rejected: \(files.path)/7.png: ") == true)
  }

  /// Images that are not requested are not read.
  @Test func aSubsetsReadableImagesAreItsOwn() throws {
    for red in 10...29 { try put("\(red).png", UInt8(red)) }
    for name in ["12", "17", "25"] {
      let file = try Data(contentsOf: URL(fileURLWithPath: files.path + "/\(name).png"))
      try files.write("\(name).png", Array(file.dropLast(20)))
    }
    let set = try images()
    let some = set.subset([2, 3, 7, 3, 4])
    let readable = some.readable(Workers(2))
    #expect((0..<readable.count).map { red(readable, $0) } == [13, 13, 14])
    #expect(some.unreadable == 2 && readable.unreadable == 0 && set.unreadable == 2)
    #expect(set.readable(Workers(2)).count == 17)
  }

  /// The cache determines only when a file is read.
  @Test(arguments: ["1B", "200B", "700B", "1MB"])
  func theCacheDoesNotChangeTheImages(cache: String) throws {
    for red in 0..<30 { try put("\(red).png", UInt8(red)) }
    let (set, whole) = (try images(cache: cache), try images(cache: "1GB"))
    let seed: UInt64 = 99
    var random = RandomNumbers(seed)
    for _ in 0..<500 {
      let index = random.below(30)
      #expect(set.bytes(index) == whole.bytes(index), "seed \(seed)")
    }
  }

  @Test func theCacheKeepsToItsLimit() throws {
    for red in 0..<40 { try put("\(red).png", UInt8(red)) }
    // 48 bytes per image: 15 are cached permanently, and 5 at a time.
    let set = try images(cache: "960B")
    let before = set.spareBytes
    for index in 0..<40 { _ = red(set, index) }
    #expect(before - set.spareBytes == 960)
    // The rest is the memory of decoding: some 100 bytes of a file, and 48 of its pixels, per core.
    #expect((48...1000 * ProcessInfo.processInfo.activeProcessorCount).contains(set.spareBytes))
    // Cached images need no file.
    try FileManager.default.removeItem(atPath: files.path)
    for index in 0..<40 { _ = red(set, index) }
    #expect(set.broken.count == 20, "three quarters for the first, a quarter for the latest")
  }

  @Test func allThatFitsIsKept() throws {
    for red in 0..<20 { try put("\(red).png", UInt8(red)) }
    let set = try images(cache: "960B")
    for index in 0..<20 { _ = red(set, index) }
    try FileManager.default.removeItem(atPath: files.path)
    let named = Set((0..<20).map { red(set, $0) })
    #expect(named == Set(0..<20) && set.broken.isEmpty)
  }

  @Test func manyThreadsSeeTheSameImages() throws {
    for red in 0..<50 { try put("\(red).png", UInt8(red)) }
    let (set, order) = (try images(cache: "600B"), try images().subset(Array(0..<50)))
    let expected = (0..<50).map { red(order, $0) }
    let got = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 500)
    defer { got.deallocate() }
    nonisolated(unsafe) let place = got
    Workers(4).run(500) { task, _ in place[task] = red(set, task % 50) }
    #expect((0..<500).allSatisfy { got[$0] == expected[$0 % 50] })
  }
}
