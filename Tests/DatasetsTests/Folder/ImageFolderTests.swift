import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct ImageFolderTests {
  private let files = try! TestFiles()
  private let fit = ImageFit(size: 8, channels: 3)

  /// Writes a PNG of one colour, identified by its red value.
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
    #expect(error?.description == "\(files.path)/1.png: is not in a folder that names its class")
  }

  @Test func hiddenFilesAndFoldersArePassedOver() throws {
    try put("a/1.png", 1)
    try put("a/.2.png", 2)
    try put(".cache/3.png", 3)
    #expect(reds(try load()) == [1])
  }

  /// Names are bytes, and need not be valid text.
  @Test func namesThatAreNoTextAreNames() throws {
    try put("a/1.png", 3)
    try put("b/1.png", 4)
    func move(_ old: String, _ new: [UInt8]) {
      let path = Array("\(files.path)/".utf8) + new + [0]
      let status = path.withUnsafeBytes { path in
        rename("\(files.path)/\(old)", path.assumingMemoryBound(to: CChar.self).baseAddress!)
      }
      #expect(status == 0)
    }
    move("a/1.png", Array("a/caf".utf8) + [0xE9] + Array(".png".utf8))
    move("a", [0xFF])
    try put("\u{FFFD}/2.png", 5)
    try put("c/3.png", 6)
    move("c/3.png", Array("c/".utf8) + [0xE9] + Array(".JPG".utf8))
    let set = try load()
    #expect(reds(set) == [4, 6, 5, 3] && set.labels == [0, 1, 2, 3])
    #expect(set.classNames == ["b", "c", "\u{FFFD}", "\u{FFFD}"] && set.broken.isEmpty)
    try files.write("c/4.png", [1])
    move("c/4.png", Array("c/".utf8) + [0xFE] + Array(".png".utf8))
    #expect(try load().broken.map(\.path) == ["\(files.path)/c/\u{FFFD}.png"])
  }

  /// A letter in composed and in decomposed form looks the same.
  @Test func foldersThatLookAlikeAreTwoClasses() throws {
    let (one, two) = ("caf\u{E9}", "cafe\u{301}")
    for red: UInt8 in 1...3 {
      try put("\(one)/\(red).png", red)
      try put("\(two)/\(red).png", red + 10)
    }
    let set = try load()
    #expect(set.classes == 2 && set.labels == [0, 0, 0, 1, 1, 1] && reds(set) == [11, 12, 13, 1, 2, 3])
    #expect(set.classNames?.map { Array($0.utf8) } == [two, one].map { Array($0.utf8) })
    #expect(DataReport(set, Workers(1)).classes.map(\.count) == [3, 3])
    // Each broken file is reported, too.
    for name in [one, two] { try files.write("\(name)/1.png", [0]) }
    let news = BrokenFileNews().line(try load().broken)
    #expect(news?.hasPrefix("2 broken files are left out") == true)
  }

  /// A combining mark attaches to the character before it, even to a slash.
  @Test func namesMayBeginWithACombiningMark() throws {
    try put("cat/\u{301}0.png", 1)
    try put("dog/1.png", 2)
    try put("\u{301}/3.png", 3)
    try put("\u{301}.png/\u{301}.png", 4)
    let set = try load("?labels=folder")
    #expect(set.labels == [0, 1, 2, 3])
    #expect(set.classes == 4 && set.count == 4 && set.broken.isEmpty)
    try put(".\u{301}hidden/5.png", 5)
    #expect(try load().count == 4)
  }

  @Test func whatIsPassedOverIsCountedByItsEnding() throws {
    try put("cat/1.png", 1)
    try files.write("cat/2.JFIF", Make.jpeg([UInt8](repeating: 9, count: 12), height: 2, width: 2))
    for index in 0..<4 { try files.write("cat/\(index).webp", [1]) }
    for index in 0..<2 { try files.write("dog/\(index).BMP", [1]) }
    try files.write("dog/README", [1])
    try files.write("dog/.hidden", [1])
    try files.write("dog/a.b\u{1B}[31m", [1])
    let set = try load()
    #expect(set.count == 2)
    #expect(set.passedOver.summary == "8 files are ignored: 4 .webp, 2 .bmp, 2 others")
    #expect(DataReport(set, Workers(1)).passedOver.map(\.ending) == [".webp", ".bmp", "others"])
    for name in ["cat/1.png", "cat/2.JFIF"] {
      try FileManager.default.removeItem(atPath: "\(files.path)/\(name)")
    }
    let error = #expect(throws: DatasetError.self) { try load() }
    #expect(
      error?.description
        == "\(files.path): no file named *.jpg, *.jpeg, *.jfif or *.png in this folder; 8 files are ignored: 4 .webp, 2 .bmp, 2 others"
    )
  }

  /// Any number of file name extensions takes bounded memory and a bounded line.
  @Test func endingsAreBounded() throws {
    try put("1.png", 1)
    for index in 0..<300 { try files.write("x.e\(index)", []) }
    let set = try load()
    #expect(set.passedOver.endings.count == 101)
    let first = try #require(set.passedOver.endings.first)
    #expect(first.ending == "others" && first.count == 200)
    #expect(set.passedOver.summary?.hasSuffix(" and 96 more") == true, "\(set.passedOver.summary ?? "")")
  }

  @Test func whatMachinesPutBesideImagesIsPassedOver() throws {
    try put("cat/1.jpg", 1)
    try put("cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", 2)
    try put("@eaDir/2.jpg", 3)
    try put("__MACOSX/cat/1.jpg", 4)
    try put(".ipynb_checkpoints/1.jpg", 5)
    try put("#recycle/1.jpg", 6)
    let set = try load()
    #expect(reds(set) == [1] && set.classNames == ["cat"] && set.passedOver.summary == nil)
  }

  /// A path that is too long for the system is reported together with the file at its end.
  @Test func aPathThatIsTooLongIsSaid() throws {
    try put("a/1.png", 1)
    let name = String(repeating: "d", count: 200)
    var folders = [open("\(files.path)/a", O_RDONLY | O_DIRECTORY)]
    for _ in 0..<25 {
      #expect(mkdirat(folders[folders.count - 1], name, 0o700) == 0)
      folders.append(openat(folders[folders.count - 1], name, O_RDONLY | O_DIRECTORY))
    }
    defer {
      for folder in folders.dropLast().reversed() { unlinkat(folder, name, AT_REMOVEDIR) }
      for folder in folders { close(folder) }
    }
    let set = try load()
    #expect(reds(set) == [1] && set.broken.map(\.reason) == ["File name too long"])
    #expect(set.broken.first?.path.hasPrefix("\(files.path)/a/\(name)") == true)
  }

  @Test func aFileIsNoMissingFolder() throws {
    try put("1.png", 1)
    for kind in ["folder", "cifar10", "cifar100", "stl10"] {
      #expect(throws: DatasetError.notDirectory(path: files.path + "/1.png")) {
        try DataSpec(parsing: "\(kind):\(files.path)/1.png").load(role: .train)
      }
    }
    let error = #expect(throws: DatasetError.self) {
      try DataSpec(parsing: "folder:\(files.path)/1.png/x").load(role: .train)
    }
    #expect(error?.description == "\(files.path)/1.png/x: cannot be read: Not a directory")
  }

  /// Whether two images can be read is determined without reading all.
  @Test func tooFewAreFoundBeforeTheyAreNeeded() throws {
    try put("1.png", 1)
    let whole = try Data(contentsOf: URL(fileURLWithPath: files.path + "/1.png"))
    for name in ["0", "2"] { try files.write("\(name).png", Array(whole.dropLast(30))) }
    let error = #expect(throws: DatasetError.self) { try load().requireReadable(2) }
    #expect(
      error?.description.hasPrefix("one image can be read, and two are needed: 2 broken files are left out")
        == true)
    for red in 3...9 { try put("\(red).png", UInt8(red)) }
    let set = try load()
    try set.requireReadable(2)
    #expect(set.broken.map(\.path) == ["\(files.path)/0.png", "\(files.path)/2.png"], "3.png is the second")
    try FileManager.default.removeItem(atPath: files.path + "/9.png")
    try set.requireReadable(2)
    #expect(set.broken.count == 2, "nobody has asked for 9.png")
    #expect(throws: DatasetError.self) { try set.subset([0, 2, 1]).requireReadable(2) }
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
    #expect(error?.description.hasPrefix("2 broken files are rejected: ") == true)
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
    #expect(throws: DatasetError.noFiles(path: files.path, pattern: "*.jpg, *.jpeg, *.jfif or *.png")) {
      try load()
    }
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
