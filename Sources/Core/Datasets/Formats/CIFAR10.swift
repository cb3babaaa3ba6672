/// The binary version of CIFAR-10.
package enum CIFAR10 {
  private static let records = CIFARRecords(labelBytes: 1, label: 0, classes: 10)

  /// Reads `data_batch_*.bin`, in the order of their names, or `test_batch.bin`; at most `limit` images.
  ///
  /// The directory may be the parent of what the archive unpacks to. Throws a ``DatasetError`` with the path: a
  /// missing directory, no such files, a file that is not a whole number of records, a label over 9. Files past the
  /// limit are not opened.
  package static func read(
    directory: String, role: DataRole, limit: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    let pattern = role == .train ? "data_batch_*.bin" : "test_batch.bin"
    let paths = try DataDirectory.files(in: directory, nested: "cifar-10-batches-bin", called: pattern) {
      name in
      role == .train ? name.hasPrefix("data_batch_") && name.hasSuffix(".bin") : name == pattern
    }
    return try records.read(paths, limit: limit)
  }
}
