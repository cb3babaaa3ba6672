/// The binary version of CIFAR-10.
package enum CIFAR10 {
  /// Reads `data_batch_*.bin`, in the order of their names, or `test_batch.bin`; at most `limit` images.
  ///
  /// The directory may be the parent of what the archive unpacks to. Throws a ``DatasetError`` with the path: a
  /// missing directory, no such files, a file that is not a whole number of records, a label over
  /// `classes` - 1. Files past the limit are not opened.
  package static func read(
    directory: String, role: DataRole, classes: Int = 10, limit: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    let pattern = role == .train ? "data_batch_*.bin" : "test_batch.bin"
    let paths = try DataDirectory.files(
      in: directory, nested: ["cifar-10-batches-bin"], called: pattern,
      { role == .train ? $0.hasPrefix("data_batch_") && $0.hasSuffix(".bin") : $0 == pattern },
      explain: {
        CIFARRecords.otherVersion(of: 10, $0, marks: ["data_batch_1", "test_batch", "batches.meta"])
      })
    let records = CIFARRecords(labelBytes: 1, label: 0, classes: classes, option: "classes=N")
    return try records.read(paths, limit: limit)
  }
}
