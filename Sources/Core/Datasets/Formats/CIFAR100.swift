/// The binary version of CIFAR-100: each record has a label among 20 and one among 100.
package enum CIFAR100 {
  /// Which of the two labels is taken.
  package enum Labels: String, Sendable, Hashable, CaseIterable {
    /// Among 100 classes.
    case fine
    /// Among the 20 groups of those.
    case coarse
  }

  /// Reads `train.bin` or `test.bin`; at most `limit` images. Throws as ``CIFAR10`` does.
  package static func read(
    directory: String, role: DataRole, labels: Labels = .fine, limit: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    let name = role == .train ? "train.bin" : "test.bin"
    let paths = try DataDirectory.files(
      in: directory, nested: ["cifar-100-binary"], called: name, { $0 == name },
      explain: { CIFARRecords.otherVersion(of: 100, $0, marks: ["meta"]) })
    let records =
      switch labels {
      case .fine: CIFARRecords(labelBytes: 2, label: 1, classes: 100)
      case .coarse: CIFARRecords(labelBytes: 2, label: 0, classes: 20)
      }
    return try records.read(paths, limit: limit)
  }
}
