import DataFiles
import Datasets
import Engine
import Foundation
import Testing

@Suite struct NumPyImagesTests {
  private let files = try! TestFiles()

  private func load(_ spec: String, role: DataRole = .train) throws -> ImageSet {
    try DataSpec(parsing: spec).load(role: role)
  }

  private func npy(_ shape: [Int], _ bytes: [UInt8], type: String = "|u1", fortran: Bool = false) throws
    -> ImageSet
  {
    try files.write("x.npy", Make.npy(shape, bytes, type: type, fortran: fortran))
    return try load("npy:\(files.path)/x.npy")
  }

  private func rejection(_ body: () throws -> ImageSet) -> String {
    let error = #expect(throws: DatasetError.self) { _ = try body() }
    let description = error?.description ?? ""
    #expect(!description.contains("\n"))
    return description
  }

  @Test func imagesMayHaveTheirChannelsFirstLastOrNot() throws {
    let bytes = Make.noise(2 * 4 * 5 * 3, seed: 1)
    let grey = try npy([6, 4, 5], bytes)
    #expect(grey.count == 6 && grey.bytes(1) == Array(bytes[20..<40]) && grey.channels == 1)
    let planar = try npy([2, 3, 4, 5], bytes)
    #expect(planar.bytes(1) == Array(bytes[60...]) && planar.shape(0).width == 5)
    let interleaved = try npy([2, 4, 5, 3], bytes)
    #expect(interleaved.channels == 3 && interleaved.shape(0).height == 4)
    let second = Array(bytes[60...])
    let planes: [[UInt8]] = (0..<3).map { c in (0..<20).map { second[$0 * 3 + c] } }
    #expect(interleaved.bytes(1) == planes.flatMap { $0 })
    #expect(grey.labels == nil)
  }

  @Test func labelsAreWholeNumbersOfAnyWidth() throws {
    try files.write("x.npy", Make.npy([3, 1, 1], [1, 2, 3]))
    for (type, shape, bytes) in [
      ("|u1", [3], [4, 0, 2]), ("<i8", [3, 1], [4, 0, 2].flatMap { Make.little($0, 8) }),
      (">i2", [3], [0, 4, 0, 0, 0, 2]), ("|i1", [3], [4, 0, 2]),
      ("<u4", [3], [4, 0, 2].flatMap { Make.little($0, 4) }),
    ] as [(String, [Int], [UInt8])] {
      try files.write("y.npy", Make.npy(shape, bytes, type: type))
      let set = try load("npy:\(files.path)/x.npy?labels=\(files.path)/y.npy")
      #expect(set.labels == [4, 0, 2] && set.classes == 5, "\(type)")
      #expect(try load("npy:\(files.path)/x.npy?labels=\(files.path)/y.npy&limit=2").classes == 5)
    }
    for (shape, bytes, type, text) in [
      ([2], [1, 2], "|u1", "has 2 labels for 3 images"), ([3], [1, 255, 0], "|i1", "record 1 has label -1"),
      ([3], [UInt8](repeating: 0, count: 12), "<f4", "holds <f4, where labels are whole numbers"),
    ] as [([Int], [UInt8], String, String)] {
      try files.write("y.npy", Make.npy(shape, bytes, type: type))
      #expect(rejection { try load("npy:\(files.path)/x.npy?labels=\(files.path)/y.npy") }.contains(text))
    }
  }

  @Test func whatIsNoImagesIsRejected() {
    #expect(rejection { try npy([2, 2], [1, 2, 3, 4]) }.contains("has the shape [2, 2], where images are"))
    #expect(
      rejection { try npy([1, 2, 2, 2], [UInt8](repeating: 0, count: 8)) }.contains("where images are"))
    #expect(rejection { try npy([0, 2, 2], []) }.contains("which is not a shape of images"))
    for type in ["|b1", "<c8", "|S4"] {
      let bytes = [UInt8](repeating: 0, count: 64)
      #expect(
        rejection { try npy([1, 2, 2], bytes, type: type) }.contains("holds \(type), where images are bytes"))
    }
    #expect(rejection { try npy([1, 2, 2], [1, 2, 3, 4, 5]) }.contains("continues after the"))
    #expect(
      rejection { try npy([3, 2, 2], [1, 2, 3, 4]) }.contains("is too short for [3, 2, 2] elements of |u1"))
    #expect(rejection { try npy([1 << 40, 1 << 20, 1 << 20], [1]) }.contains("is too short"))
    #expect(rejection { try npy([Int.max, 2, 2], [1]) }.contains("is too short"))
  }

  /// The same pixels in every storage type.
  @Test(arguments: ["|u1", "<u2", ">i4", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
  func numbersOfAnyTypeAreBytes(type: String) throws {
    let pixels: [UInt8] = [0, 1, 127, 128, 254, 255, 7, 9]
    let width = try #require(Int(type.suffix(1)))
    let stored = pixels.flatMap { pixel -> [UInt8] in
      let little =
        switch type.suffix(2) {
        case "f2": Make.little(Int((Float16(pixel) / 255).bitPattern), 2)
        case "f4": Make.little(Int((Float(pixel) / 255).bitPattern), 4)
        case "f8": Make.little(Int((Double(pixel) / 255).bitPattern), 8)
        default: Make.little(Int(pixel), width)
        }
      return type.hasPrefix(">") ? little.reversed() : little
    }
    let set = try npy([2, 2, 2], stored, type: type)
    #expect(set.bytes(0) + set.bytes(1) == pixels)
    #expect(try load("npy:\(files.path)/x.npy?limit=1").bytes(0) == Array(pixels.prefix(4)))
  }

  @Test func numbersThatAreNoBytesAreNamed() {
    func floats(_ values: Float...) -> [UInt8] { values.flatMap { Make.little(Int($0.bitPattern), 4) } }
    for (bytes, type, text) in [
      (floats(0, 1, 254, 0), "<f4", "element 2 is 254.0, where an image's floats are 0 to 1"),
      (floats(0, .nan, 0, 0), "<f4", "element 1 is nan, where"),
      (floats(-0.5, 0, 0, 0), "<f4", "element 0 is -0.5"),
      ([1, 2, 3, 255], "|i1", "element 3 is -1, where an image's whole numbers are 0 to 255"),
      ([0, 0, 0, 1, 0, 0, 0, 0], "<u2", "element 1 is 256"),
    ] as [([UInt8], String, String)] {
      #expect(rejection { try npy([1, 2, 2], bytes, type: type) }.contains(text))
    }
  }

  /// Half floats of k / 255 represent all 256 bytes.
  @Test func halfFloatsHoldEveryByte() throws {
    let stored = (0...255).flatMap { Make.little(Int(Float16(Float($0) / 255).bitPattern), 2) }
    #expect(try npy([1, 16, 16], stored, type: "<f2").bytes(0) == Array(0...255))
    #expect(
      rejection { try npy([1, 1, 1], Make.little(Int(Float16(255).bitPattern), 2), type: "<f2") }.contains(
        "element 0 is 255.0, where an image's floats are 0 to 1"))
  }

  @Test func python2WroteItsNumbersWithAnL() throws {
    var file = Make.npy([2, 2, 2], Array(0..<8))
    let text = "(2L, 2L, 2L), }"
    let place = try #require(Data(file).range(of: Data("(2, 2, 2), }   ".utf8)))
    file.replaceSubrange(place, with: Array(text.utf8))
    try files.write("x.npy", file)
    #expect(try load("npy:\(files.path)/x.npy").bytes(1) == [4, 5, 6, 7])
  }

  @Test(.enabled(if: SharedFolder.holds(SharedFolder.cases), "the cases are not beside the package"))
  func theCaseOfPython2IsRead() throws {
    let set = try load("npy:\(SharedFolder.cases.path)/npy-python2-long.npy")
    #expect(set.count > 0 && set.channels == 3)
  }

  /// Several labels per image are not classes; training does not need labels.
  @Test func labelsOfSeveralColumnsAreNone() throws {
    let path = try files.write(
      "x.npz",
      Make.zip([
        ("train_images.npy", Make.npy([2, 2, 2], Array(0..<8))),
        ("train_labels.npy", Make.npy([2, 3], [0, 1, 1, 0, 0, 1])),
      ]))
    for spec in ["npz:\(path)", "npz:\(path)?labels=train_labels"] {
      let set = try load(spec)
      #expect(set.count == 2 && set.labels == nil)
      let problem = "\(path): train_labels.npy has the shape [2, 3], where labels are [N] or [N, 1]"
      #expect(set.labelProblem == problem && set.subset([0]).labelProblem == problem)
      #expect(DataReport(set, Workers(1)).labelProblem == problem)
      let error = #expect(throws: DatasetError.self) {
        try Partition.dirichlet(beta: 1).split(.images(set), clients: 1, seed: 1)
      }
      #expect(error?.description.hasSuffix("needs labels, and the images have none: \(problem)") == true)
    }
  }

  /// A hundred million labels of zeros fit into 100 KB: no more labels are read than images.
  @Test func labelsAreCountedBeforeTheyAreRead() throws {
    let labels = Make.zip([
      ("train_images.npy", Make.npy([1, 1, 1], [1])),
      ("train_labels.npy", Make.npy([50_000_000], [UInt8](repeating: 0, count: 50_000_000))),
    ])
    let path = try files.write("x.npz", labels)
    #expect(rejection { try load("npz:\(path)") }.hasSuffix("has 50000000 labels for 1 images"))
  }

  /// An archive states the sizes of its members, and the compressed bytes.
  @Test func whatShrinksTooMuchIsRejected() throws {
    let zeros = Make.npy([80, 1000, 1000], [UInt8](repeating: 0, count: 80_000_000))
    let path = try files.write("x.npz", Make.zip([("train_images.npy", zeros)]))
    #expect(rejection { try load("npz:\(path)") }.contains("more than 256 times as many"))
    #expect(rejection { try load("npz:\(path)?limit=1") }.contains("more than 256 times as many"))
    // The size in the directory is a limit as well, since the file ends there.
    var lying = Make.zip([
      ("train_images.npy", Make.npy([100, 10, 10], [UInt8](repeating: 0, count: 10_000)))
    ])
    let entry = try #require(Data(lying).range(of: Data(Make.little(0x0201_4B50, 4)))).lowerBound
    lying.replaceSubrange(entry + 24..<entry + 28, with: Make.little(500, 4))
    let other = try files.write("y.npz", lying)
    #expect(rejection { try load("npz:\(other)") }.contains("is too short for [100, 10, 10] elements"))
  }

  /// In Fortran's column order, the index of the first side changes fastest.
  @Test func columnsBecomeRows() throws {
    let (sides, bytes) = ([2, 3, 4, 3], Make.noise(72, seed: 3))
    var columns = [UInt8](repeating: 0, count: 72)
    for n in 0..<2 {
      for y in 0..<3 {
        for x in 0..<4 {
          for c in 0..<3 { columns[n + 2 * (y + 3 * (x + 4 * c))] = bytes[((n * 3 + y) * 4 + x) * 3 + c] }
        }
      }
    }
    let expected = try npy(sides, bytes)
    let (first, second) = (expected.bytes(0), expected.bytes(1))
    let set = try npy(sides, columns, fortran: true)
    #expect(set.bytes(0) == first && set.bytes(1) == second)
    #expect(try load("npy:\(files.path)/x.npy?skip=1").bytes(0) == second)
    #expect(try load("npy:\(files.path)/x.npy?limit=1").bytes(0) == first)
  }

  private func archive(deflated: Bool = true) throws -> String {
    try files.write(
      "x.npz",
      Make.zip(
        [
          ("train_images.npy", Make.npy([4, 2, 2], Array(0..<16))),
          ("train_labels.npy", Make.npy([4, 1], [0, 1, 1, 0])),
          ("test_images.npy", Make.npy([1, 2, 2], [90, 91, 92, 93])),
          ("test_labels.npy", Make.npy([1, 1], [1])), ("val_images.npy", Make.npy([1, 2, 2], [7, 7, 7, 7])),
        ], deflated: deflated))
  }

  @Test(arguments: [true, false])
  func anArchiveHasItsSplits(deflated: Bool) throws {
    let path = try archive(deflated: deflated)
    let train = try load("npz:\(path)")
    #expect(train.labels == [0, 1, 1, 0] && train.bytes(3) == [12, 13, 14, 15])
    #expect(try load("npz:\(path)", role: .test).bytes(0) == [90, 91, 92, 93])
    let val = try load("npz:\(path)?split=val", role: .test)
    #expect(val.bytes(0) == [7, 7, 7, 7] && val.labels == nil)
    #expect(try load("npz:\(path)?labels=none").labels == nil)
    #expect(try load("npz:\(path)?images=test_images&labels=test_labels").labels == [1])
    #expect(try load("npz:\(path)?limit=2&skip=1").labels == [1, 1])
  }

  @Test func anArrayThatIsNotThereIsNamedWithTheNearest() throws {
    let path = try archive()
    #expect(
      rejection { try load("npz:\(path)?images=train_image") }.contains("did you mean train_images? It holds")
    )
    #expect(
      rejection { try load("npz:\(path)?split=val&labels=val_labels") }.contains("has no array 'val_labels'"))
  }

  /// A few hundred bytes claim 4 TB of zeros.
  @Test func aBombIsRejectedByItsShape() throws {
    let header = Make.npy([1 << 20, 2048, 2048], [UInt8](repeating: 0, count: 100_000))
    let path = try files.write("bomb.npz", Make.zip([("train_images.npy", header)]))
    #expect(rejection { try load("npz:\(path)") }.contains("is too short for [1048576, 2048, 2048] elements"))
  }

  @Test(.enabled(if: SharedFolder.holds(SharedFolder.medmnist), "MedMNIST is not beside the package"))
  func pneumoniaMNISTIsWhatItSays() throws {
    let spec = "npz:\(SharedFolder.medmnist.path)"
    let counts = try [
      load(spec).count, load(spec + "?split=val").count, load(spec, role: .test).count,
    ]
    #expect(counts == [4708, 524, 624])
    let test = try load(spec, role: .test)
    #expect(test.classes == 2 && test.shape(0) == ImageShape(channels: 1, height: 28, width: 28))
    let colour = try DataSpec(parsing: spec).load(role: .test, for: ImageFit(size: 32, channels: 3))
    #expect(colour.shape(9) == ImageShape(channels: 3, height: 28, width: 28))
    #expect(colour.bytes(9) == test.bytes(9) + test.bytes(9) + test.bytes(9))
  }
}
