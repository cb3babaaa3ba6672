import Datasets
import Foundation
import Testing

@Suite struct CIFAR10Tests {
  /// Runs `body` with a temporary folder that contains these files.
  private func withDirectory(_ files: [String: [UInt8]], _ body: (String) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("cifar10-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: url) }
    for (name, bytes) in files {
      let file = url.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file)
    }
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    try body(url.path)
  }

  private func record(_ label: UInt8, _ value: UInt8) -> [UInt8] {
    [label] + [UInt8](repeating: value, count: 3072)
  }

  @Test func batchesAreReadInTheOrderOfTheirNames() throws {
    try withDirectory([
      "data_batch_2.bin": record(2, 20), "data_batch_1.bin": record(9, 10) + record(1, 11),
      "test_batch.bin": record(5, 50), "batches.meta.txt": [65],
    ]) { directory in
      let train = try DataSpec(parsing: "cifar10:\(directory)").load(role: .train)
      #expect(train.labels == [9, 1, 2])
      #expect((0..<3).map { train.withImage($0) { $0.bytes[3071] } } == [10, 11, 20])
      #expect(train.size == 32 && train.channels == 3 && train.classes == 10)
      #expect(try CIFAR10.read(directory: directory, role: .test).labels == [5])
      #expect(try CIFAR10.read(directory: directory, role: .train, limit: 2).labels == [9, 1])
    }
  }

  @Test func theUnpackedArchivesParentWillDo() throws {
    try withDirectory(["cifar-10-batches-bin/test_batch.bin": record(3, 0)]) { directory in
      let set = try CIFAR10.read(directory: directory, role: .test)
      #expect(set.labels == [3])
    }
  }

  @Test func aTruncatedFileIsRejectedWithItsSize() throws {
    try withDirectory(["test_batch.bin": Array((record(1, 1) + record(2, 2)).dropLast(73))]) { directory in
      let error = #expect(throws: DatasetError.self) { try CIFAR10.read(directory: directory, role: .test) }
      #expect(error == .wrongSize(path: directory + "/test_batch.bin", bytes: 6073, recordBytes: 3073))
      #expect(error?.description.contains("6073 bytes are not a multiple of 3073: 3000 left over") == true)
    }
  }

  @Test func anEmptyFileIsRejected() throws {
    try withDirectory(["test_batch.bin": []]) { directory in
      let error = #expect(throws: DatasetError.self) { try CIFAR10.read(directory: directory, role: .test) }
      #expect(error?.description.contains("is empty") == true)
    }
  }

  @Test func anotherNumberOfClassesIsOffered() throws {
    try withDirectory(["test_batch.bin": record(1, 1) + record(15, 2)]) { directory in
      let error = #expect(throws: DatasetError.self) { try CIFAR10.read(directory: directory, role: .test) }
      #expect(
        error?.description.hasSuffix(
          "record 1 has label 15, where labels are 0 to 9; classes=N sets the number of classes") == true
      )
      let set = try DataSpec(parsing: "cifar10:\(directory)?classes=16").load(role: .test)
      #expect(set.classes == 16 && set.labels == [1, 15])
    }
  }

  @Test(arguments: [
    ("data_batch_1", "Python version (data_batch_1)"),
    ("cifar-10-batches-py/batches.meta", "Python version (cifar-10-batches-py)"),
    ("data_batch_1.mat", "Matlab version (data_batch_1.mat)"),
    ("cifar-10-binary.tar.gz", "which must be unpacked: tar xzf cifar-10-binary.tar.gz"),
  ])
  func anotherVersionIsNamed(file: String, text: String) throws {
    try withDirectory([file: [1]]) { directory in
      let error = #expect(throws: DatasetError.self) { try CIFAR10.read(directory: directory, role: .train) }
      #expect(error?.description.contains(text) == true, "\(String(describing: error))")
    }
    try withDirectory(["train": [1], "meta": [2]]) { directory in
      let error = #expect(throws: DatasetError.self) { try CIFAR100.read(directory: directory, role: .train) }
      #expect(error?.description.contains("holds CIFAR-100's Python version (meta)") == true)
    }
  }

  @Test func aLabelOverNineIsRejectedWithItsPlace() throws {
    try withDirectory(["data_batch_1.bin": record(9, 0) + record(10, 0)]) { directory in
      #expect(
        throws: DatasetError.badLabel(
          path: directory + "/data_batch_1.bin", record: 1, label: 10, classes: 10, option: "classes=N")
      ) { try CIFAR10.read(directory: directory, role: .train) }
    }
  }

  @Test func missingDirectoriesAndFilesAreToldApart() throws {
    try withDirectory(["data_batch_1.bin": record(0, 0)]) { directory in
      #expect(throws: DatasetError.missingDirectory(path: directory + "/none")) {
        try CIFAR10.read(directory: directory + "/none", role: .train)
      }
      #expect(throws: DatasetError.notDirectory(path: directory + "/data_batch_1.bin")) {
        try CIFAR10.read(directory: directory + "/data_batch_1.bin", role: .train)
      }
      #expect(throws: DatasetError.noFiles(path: directory, pattern: "test_batch.bin")) {
        try CIFAR10.read(directory: directory, role: .test)
      }
    }
  }

  @Test(.enabled(if: SharedFolder.holds(SharedFolder.cifar10), "CIFAR-10 is not beside the package"))
  func theRealTestBatchIsBalanced() throws {
    let set = try CIFAR10.read(directory: SharedFolder.cifar10.path, role: .test)
    let labels = try #require(set.labels)
    #expect(set.count == 10_000)
    #expect((0..<10).allSatisfy { label in labels.count { $0 == label } == 1000 })
  }
}
