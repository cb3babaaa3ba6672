import DataFiles
import Datasets
import Testing

@Suite struct STL10Tests {
  private let files = try! TestFiles()
  private static let side = 96

  /// An image with the column in each red pixel and the row in each blue pixel, stored column by column.
  private var image: [UInt8] {
    let places = (0..<Self.side).flatMap { column in (0..<Self.side).map { row in (column, row) } }
    return places.map { UInt8($0.0) } + places.map { _ in 5 } + places.map { UInt8($0.1) }
  }

  private func load(_ options: String = "", role: DataRole = .train) throws -> ImageSet {
    try DataSpec(parsing: "stl10:\(files.path)\(options)").load(role: role)
  }

  @Test func columnsComeFirstAndLabelsCountFromOne() throws {
    try files.write("train_X.bin", image + image)
    try files.write("train_y.bin", [10, 1])
    let set = try load()
    #expect(set.labels == [9, 0] && set.classes == 10)
    let (bytes, area) = (set.bytes(1), Self.side * Self.side)
    for (row, column) in [(0, 0), (3, 70), (95, 2)] {
      let place = row * Self.side + column
      #expect(
        [bytes[place], bytes[area + place], bytes[2 * area + place]] == [UInt8(column), 5, UInt8(row)])
    }
    #expect(try load("?limit=1").labels == [9])
  }

  @Test func splitsAreThoseOfTheRoleOrAsGiven() throws {
    try files.write("stl10_binary/unlabeled_X.bin", image + image + image)
    try files.write("stl10_binary/test_X.bin", image)
    try files.write("stl10_binary/test_y.bin", [3])
    let unlabelled = try load("?split=unlabelled")
    #expect(unlabelled.count == 3 && unlabelled.labels == nil)
    #expect(try load(role: .test).labels == [2])
    #expect(try load("?split=test").labels == [2])
    #expect(throws: DatasetError.noFiles(path: files.path, pattern: "train_X.bin")) { try load() }
  }

  @Test func whatDoesNotFitTogetherIsRejected() throws {
    try files.write("train_X.bin", image)
    try files.write("train_y.bin", [1, 1])
    #expect(
      throws: DatasetError.malformed(path: files.path + "/train_y.bin", problem: "has 2 labels for 1 images")
    ) {
      try load()
    }
    try files.write("train_y.bin", [0])
    let error = #expect(throws: DatasetError.self) { try load() }
    #expect(error?.description.hasSuffix("record 0 has label 0, where labels are 1 to 10") == true)
    try files.write("train_X.bin", Array(image.dropLast()))
    #expect(
      throws: DatasetError.wrongSize(path: files.path + "/train_X.bin", bytes: 27647, recordBytes: 27648)
    ) {
      try load()
    }
  }
}
