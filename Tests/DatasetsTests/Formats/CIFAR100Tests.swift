import DataFiles
import Datasets
import Testing

@Suite struct CIFAR100Tests {
  private let files = try! TestFiles()

  private func record(coarse: UInt8, fine: UInt8, _ value: UInt8) -> [UInt8] {
    [coarse, fine] + [UInt8](repeating: value, count: 3072)
  }

  private func load(_ options: String = "", role: DataRole = .train) throws -> ImageSet {
    try DataSpec(parsing: "cifar100:\(files.path)\(options)").load(role: role)
  }

  @Test func eachRecordHasTwoLabels() throws {
    try files.write(
      "cifar-100-binary/train.bin", record(coarse: 19, fine: 99, 1) + record(coarse: 0, fine: 7, 2))
    try files.write("cifar-100-binary/test.bin", record(coarse: 3, fine: 4, 9))
    let fine = try load()
    #expect(fine.labels == [99, 7] && fine.classes == 100)
    #expect(fine.bytes(1) == [UInt8](repeating: 2, count: 3072))
    let coarse = try load("?labels=coarse&limit=1")
    #expect(coarse.labels == [19] && coarse.classes == 20)
    #expect(try load(role: .test).labels == [4])
  }

  @Test func truncatedFilesAndImpossibleLabelsAreRejected() throws {
    try files.write("train.bin", record(coarse: 20, fine: 99, 1))
    #expect(throws: DatasetError.badLabel(path: files.path + "/train.bin", record: 0, label: 20, classes: 20))
    {
      try load("?labels=coarse")
    }
    #expect(try load().labels == [99])
    try files.write("train.bin", Array(record(coarse: 1, fine: 1, 1).dropLast()))
    #expect(throws: DatasetError.wrongSize(path: files.path + "/train.bin", bytes: 3073, recordBytes: 3074)) {
      try load()
    }
  }
}
