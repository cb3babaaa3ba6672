import Foundation

/// The binary version of CIFAR-10 (Krizhevsky 2009): records of one label byte and 3072 pixel bytes, the
/// red, green and blue planes of 32 x 32.
package enum CIFAR10 {
  static let size = 32
  static let channels = 3
  static let classes = 10
  static let recordBytes = 1 + channels * size * size
  /// What the archive of the data set unpacks to; its parent is accepted too.
  private static let unpacked = "cifar-10-batches-bin"

  /// Reads `data_batch_*.bin`, in the order of their names, or `test_batch.bin`; at most `limit` images.
  ///
  /// Throws a ``DatasetError`` with the path: a missing directory, no such files, a file that is not a
  /// whole number of records, a label over 9. Files past the limit are not opened.
  package static func read(
    directory: String, role: DataRole, limit: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    let limit = limit ?? Int.max
    var pixels: [UInt8] = []
    var labels: [Int] = []
    for path in try batches(in: directory, role: role) where labels.count < limit {
      try append(path, limit: limit, &pixels, &labels)
    }
    return ImageSet(
      pixels: pixels, count: labels.count, channels: channels, size: size, labels: labels, classes: classes)
  }

  private static func batches(in directory: String, role: DataRole) throws(DatasetError) -> [String] {
    let nested = directory + "/" + unpacked
    for directory in [directory, nested] where isDirectory(directory) {
      let names: [String]
      do {
        names = try FileManager.default.contentsOfDirectory(atPath: directory)
      } catch {
        throw .unreadable(path: directory, reason: error.localizedDescription)
      }
      let wanted = names.filter { name in
        switch role {
        case .train: name.hasPrefix("data_batch_") && name.hasSuffix(".bin")
        case .test: name == "test_batch.bin"
        }
      }
      if !wanted.isEmpty { return wanted.sorted().map { directory + "/" + $0 } }
    }
    guard isDirectory(directory) else { throw .missingDirectory(path: directory) }
    throw .noFiles(path: directory, pattern: role == .train ? "data_batch_*.bin" : "test_batch.bin")
  }

  private static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  private static func append(
    _ path: String, limit: Int, _ pixels: inout [UInt8], _ labels: inout [Int]
  ) throws(DatasetError) {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    guard data.count > 0 && data.count % recordBytes == 0 else {
      throw .wrongSize(path: path, bytes: data.count, recordBytes: recordBytes)
    }
    let records = min(data.count / recordBytes, limit - labels.count)
    pixels.reserveCapacity(pixels.count + records * (recordBytes - 1))
    for record in 0..<records {
      let start = data.startIndex + record * recordBytes
      let label = Int(data[start])
      guard label < classes else {
        throw .badLabel(path: path, record: record, label: label, classes: classes)
      }
      labels.append(label)
      pixels.append(contentsOf: data[start + 1..<start + recordBytes])
    }
  }
}
