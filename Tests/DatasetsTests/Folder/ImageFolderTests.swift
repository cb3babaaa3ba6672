import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct ImageFolderTests {
  private let files = try! TestFiles()
  private let fit = ImageFit(size: 8, channels: 3)

  /// A PNG of one colour, whose red tells it from others.
  private func put(_ name: String, _ red: UInt8) throws {
    try files.write(name, Make.png((0..<16).flatMap { _ in [red, 0, 0] }, height: 4, width: 4))
  }

  private func reds(_ set: ImageSet) -> [UInt8] { (0..<set.count).map { set.bytes($0)[0] } }

  private func load(_ options: String = "", strict: Bool = false) throws -> ImageSet {
    try DataSpec(parsing: "folder:\(files.path)\(options)").load(role: .train, for: fit, strict: strict)
  }

  @Test func foldersAreClassesInTheOrderOfTheirNames() throws {
    try put("dog/b.png", 3)
    try put("dog/a.PNG", 2)
    try put("cat/x/deep.png", 1)
    try put("cat/z.png", 11)
    try files.write("dog/notes.txt", [1])
    let set = try load()
    #expect(reds(set) == [1, 11, 2, 3])
    #expect(set.labels == [0, 0, 1, 1] && set.classNames == ["cat", "dog"] && set.classes == 2)
    let bare = try load("?labels=none")
    #expect(bare.labels == nil && bare.count == 4 && bare.classNames == nil)
  }

  @Test func aFolderWithoutImagesIsAClassAllTheSame() throws {
    try put("b/1.png", 1)
    try FileManager.default.createDirectory(
      atPath: files.path + "/a", withIntermediateDirectories: true)
    #expect(try load().labels == [1])
  }

  @Test func imagesAtTheTopHaveNoClass() throws {
    try put("1.png", 1)
    try put("cat/2.png", 2)
    #expect(try load().labels == nil)
    let error = #expect(throws: DatasetError.self) { try load("?labels=folder") }
    #expect(error?.description == "\(files.path)/1.png: lies in no folder that would name its class")
  }

  @Test func hiddenFilesAndFoldersArePassedOver() throws {
    try put("a/1.png", 1)
    try put("a/.2.png", 2)
    try put(".cache/3.png", 3)
    #expect(reds(try load()) == [1])
  }

  /// Bytes of another encoding than UTF-8 are no text that could be opened again, and are no secret.
  @Test func namesThatAreNoTextAreBroken() throws {
    try put("a/1.png", 1)
    func make(_ name: [UInt8], isFolder: Bool = false) {
      let path = Array("\(files.path)/".utf8) + name + [0]
      path.withUnsafeBytes { path in
        let path = path.assumingMemoryBound(to: CChar.self).baseAddress!
        if isFolder { mkdir(path, 0o700) } else { close(open(path, O_WRONLY | O_CREAT, 0o600)) }
      }
    }
    make(Array("a/caf".utf8) + [0xE9] + Array(".png".utf8))
    make([0xFF], isFolder: true)
    make(Array("a/no image ".utf8) + [0xE9])
    let set = try load()
    #expect(reds(set) == [1] && set.labels == [0])
    #expect(set.broken.map(\.reason) == ["its name is not UTF-8", "its name is not UTF-8"])
    #expect(set.broken.first?.path == "\(files.path)/a/caf\u{FFFD}.png")
    let error = #expect(throws: DatasetError.self) { try load(strict: true) }
    #expect(error?.description.contains("2 broken files are refused") == true)
  }

  @Test func linksAreFollowedAndCirclesEnd() throws {
    try put("a/1.png", 1)
    let outside = try TestFiles()
    try outside.write("2.png", Make.png([UInt8](repeating: 2, count: 12), height: 2, width: 2))
    let manager = FileManager.default
    try manager.createSymbolicLink(atPath: files.path + "/a/loop", withDestinationPath: files.path)
    try manager.createSymbolicLink(atPath: files.path + "/b", withDestinationPath: outside.path)
    try manager.createSymbolicLink(atPath: files.path + "/c", withDestinationPath: "c")
    let set = try load()
    #expect(reds(set) == [1, 2])
    #expect(set.classNames == ["a", "b"] && set.broken.isEmpty)
  }

  @Test func whatIsNoFileIsPassedOverAndWhatIsGoneIsBroken() throws {
    try put("a/1.png", 1)
    #expect(mkfifo(files.path + "/a/pipe.png", 0o600) == 0)
    try FileManager.default.createSymbolicLink(
      atPath: files.path + "/a/gone.png", withDestinationPath: files.path + "/nowhere")
    let set = try load()
    #expect(reds(set) == [1])
    #expect(set.broken == [BrokenFile(path: files.path + "/a/gone.png", reason: "No such file or directory")])
  }

  @Test func brokenHeadersAreLeftOutCountedAndNamed() throws {
    try put("a/1.png", 1)
    try files.write("a/0.jpg", Array("not an image".utf8))
    try files.write("a/2.jpg", [])
    let set = try load()
    #expect(reds(set) == [1])
    #expect(
      BrokenFile.summary(set.broken)
        == "2 broken files are left out: \(files.path)/a/0.jpg: it is neither JPEG nor PNG; \(files.path)/a/2.jpg: it is empty"
    )
    let error = #expect(throws: DatasetError.self) { try load(strict: true) }
    #expect(error?.description.hasPrefix("2 broken files are refused: ") == true)
  }

  @Test func aNameCannotBreakTheLine() throws {
    try put("a.png", 1)
    try files.write("b\n\u{1B}[2J.png", [1])
    let summary = BrokenFile.summary(try load().broken)
    #expect(
      summary == "1 broken file is left out: \(files.path)/b\\n\\u{1B}[2J.png: it is neither JPEG nor PNG")
  }

  @Test func nothingToReadIsSaidInOneLine() throws {
    #expect(throws: DatasetError.missingDirectory(path: files.path + "/none")) {
      try DataSpec(parsing: "folder:\(files.path)/none").load(role: .train)
    }
    #expect(throws: DatasetError.noFiles(path: files.path, pattern: "*.jpg, *.jpeg or *.png")) { try load() }
    try files.write("a.jpg", [1])
    let error = #expect(throws: DatasetError.self) { try load() }
    #expect(
      error?.description
        == "\(files.path): 1 broken file is left out: \(files.path)/a.jpg: it is neither JPEG nor PNG")
  }

  @Test func skipLimitAndShuffleShareAFolderOut() throws {
    for red in 0..<10 { try put("\(red).png", UInt8(red)) }
    #expect(reds(try load("?skip=2&limit=3")) == [2, 3, 4])
    let (first, second) = (reds(try load("?shuffle=7&limit=5")), reds(try load("?shuffle=7&skip=5")))
    #expect(Set(first + second) == Set(0..<10) && first != [0, 1, 2, 3, 4])
    #expect(reds(try load("?shuffle=7&limit=5")) == first)
  }

  @Test(
    .enabled(if: SharedFolder.holds(SharedFolder.folder), "the folder of images is not beside the package"))
  func realImagesAreAllRead() throws {
    let set = try DataSpec(parsing: "folder:\(SharedFolder.folder.path)/train").load(
      role: .train, for: ImageFit(size: 32, channels: 3), strict: true)
    #expect(set.count == 600 && set.classes == 10)
    #expect((0..<600).allSatisfy { set.shape($0) == ImageShape(channels: 3, height: 64, width: 64) })
    #expect((0..<600).contains { set.foundShape(of: $0).channels == 1 })
  }
}
