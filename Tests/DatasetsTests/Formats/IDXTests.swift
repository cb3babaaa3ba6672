import DataFiles
import Datasets
import Testing

@Suite struct IDXTests {
  private let files = try! TestFiles()
  private let pixels = Make.noise(3 * 4 * 5, seed: 1)

  private func load(_ rest: String, role: DataRole = .train) throws -> ImageSet {
    try DataSpec(parsing: "idx:\(files.path)\(rest)").load(role: role)
  }

  private func rejection(_ images: [UInt8], _ options: String = "") throws -> String {
    try files.write("x", images)
    let error = #expect(throws: DatasetError.self) { try load("/x\(options)") }
    return error?.description ?? ""
  }

  @Test func filesAreReadGzippedOrPlain() throws {
    let (images, labels) = (Make.idx([3, 4, 5], pixels), Make.idx([3], [7, 0, 9]))
    try files.write("x", images)
    try files.write("x.gz", Make.gzip(images))
    try files.write("y", Make.gzip(labels))
    for name in ["x", "x.gz"] {
      let set = try load("/\(name)?labels=\(files.path)/y")
      #expect(set.labels == [7, 0, 9] && set.classes == 10)
      #expect(set.bytes(2) == Array(pixels[40...]))
      #expect(set.shape(0) == ImageShape(channels: 1, height: 4, width: 5))
      #expect(try load("/\(name)").labels == nil)
    }
    #expect(try load("/x.gz?limit=1").count == 1)
  }

  @Test func aDirectoryHasFilesForBothRoles() throws {
    try files.write("d/train-images-idx3-ubyte.gz", Make.gzip(Make.idx([1, 1, 1], [11])))
    try files.write("d/train-labels-idx1-ubyte.gz", Make.gzip(Make.idx([1], [1])))
    try files.write("d/t10k-images-idx3-ubyte", Make.idx([1, 1, 1], [22]))
    try files.write("d/t10k-labels-idx1-ubyte", Make.idx([1], [2]))
    #expect(try load("/d").bytes(0) == [11])
    let test = try load("/d", role: .test)
    #expect(test.bytes(0) == [22] && test.labels == [2])
  }

  /// The names of the original site, those of other sources, and torchvision's folder; a folder with such a name is
  /// ignored.
  @Test(arguments: ["d", "d/raw", "d/MNIST/raw"])
  func theirOtherNamesAreKnown(folder: String) throws {
    for (mark, ending) in [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")] {
      let own = "\(mark == "." ? "points" : "dashes")\(ending)/\(folder)"
      func pack(_ bytes: [UInt8]) -> [UInt8] { ending.isEmpty ? bytes : Make.gzip(bytes) }
      try files.write("\(own)/train-images\(mark)idx3-ubyte\(ending)", pack(Make.idx([1, 1, 1], [11])))
      try files.write("\(own)/train-labels\(mark)idx1-ubyte\(ending)", pack(Make.idx([1], [1])))
      if mark == "." { try files.write("\(own)/train-images-idx3-ubyte/x", []) }
      let set = try load("/\(own.prefix { $0 != "/" })/d")
      #expect(set.bytes(0) == [11] && set.labels == [1], "\(own)")
    }
  }

  @Test func labelsOfSeveralSidesAreNone() throws {
    try files.write("x", Make.idx([2, 1, 1], [11, 12]))
    try files.write("y", Make.idx([2, 3], [0, 1, 2, 3, 4, 5]))
    let set = try load("/x?labels=\(files.path)/y")
    #expect(set.labels == nil && set.labelProblem == "\(files.path)/y has 2 sides, where labels have one")
  }

  /// Labels are not read if their number differs from that of the images: 3 GB of zeros would be read in vain.
  @Test func labelsAreCountedBeforeTheyAreRead() throws {
    try files.write("x", Make.idx([1, 1, 1], [11]))
    try files.write("y", Make.gzip(Make.idx([2_000_000], [UInt8](repeating: 0, count: 2_000_000))))
    let error = #expect(throws: DatasetError.self) { try load("/x?labels=\(files.path)/y") }
    #expect(error?.description == "\(files.path)/y: has 2000000 labels for 1 images")
  }

  /// Zeros shrink to a thousandth; images do not.
  @Test func aBombIsRejected() throws {
    let zeros = [UInt8](repeating: 0, count: 70_000_000)
    #expect(
      try rejection(Make.gzip(Make.idx([70, 1000, 1000], zeros))).contains(
        "more than 256 times as many"))
  }

  @Test func whatIsWrongIsSaidInOneLine() throws {
    try files.write("y", Make.idx([2], [7, 0]))
    let whole = Make.idx([3, 4, 5], pixels)
    #expect(try rejection(whole, "?labels=\(files.path)/y").hasSuffix("/y: has 2 labels for 3 images"))
    #expect(try rejection([1, 2, 3, 4, 5]).hasSuffix("/x: is not an IDX file"))
    #expect(
      try rejection([0, 0, 13, 1, 0, 0, 0, 1]).contains("holds numbers of type 13, where bytes are type 8"))
    #expect(try rejection(Make.idx([2], [7, 0])).contains("is it a file of labels?"))
    #expect(try rejection(Array(whole.dropLast())).contains("is too short for 3 images of 1 x 4 x 5"))
    #expect(try rejection(whole + [0]).contains("continues after the 76 bytes that its header declares"))
    #expect(try rejection(Make.idx([0xFFFF_FFFF, 16_000, 16_000], [0])).contains("is too short for"))
    #expect(
      try rejection(Make.idx([0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF], [0])).contains("not a shape of images"))
    #expect(try rejection(Make.gzip(Array(whole.dropLast()))).contains("ends after 75 bytes, 1 too early"))
    #expect(try rejection([0, 0]).contains("is too short"))
  }

  @Test(.enabled(if: SharedFolder.holds(SharedFolder.fashion), "Fashion-MNIST is not beside the package"))
  func theRealTestImagesAreBalanced() throws {
    let set = try DataSpec(parsing: "idx:\(SharedFolder.fashion.path)").load(role: .test)
    let labels = try #require(set.labels)
    #expect(set.count == 10_000 && set.shape(0) == ImageShape(channels: 1, height: 28, width: 28))
    #expect((0..<10).allSatisfy { label in labels.count { $0 == label } == 1000 })
  }
}
