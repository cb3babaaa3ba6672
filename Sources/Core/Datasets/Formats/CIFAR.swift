/// Records of label bytes and 3072 pixel bytes, the red, green and blue planes of 32 x 32: the binary versions of
/// CIFAR-10 and CIFAR-100 (Krizhevsky 2009).
struct CIFARRecords {
  /// The number of label bytes before the pixels.
  let labelBytes: Int
  /// The index of the label byte to use.
  let label: Int
  let classes: Int
  /// The option that sets the number of classes, if there is one.
  var option: String?

  static let shape = ImageShape(channels: 3, height: 32, width: 32)

  private var recordBytes: Int { labelBytes + Self.shape.count }

  /// Reads files in order, at most `limit` images. Files past the limit are not opened.
  ///
  /// Throws a ``DatasetError`` with the path if a file is not a whole number of records or a label is too large.
  func read(_ paths: [String], limit: Int?) throws(DatasetError) -> ImageSet {
    let limit = limit ?? Int.max
    var pixels: [UInt8] = []
    var labels: [Int] = []
    for path in paths where labels.count < limit {
      try append(path, limit: limit, &pixels, &labels)
    }
    return ImageSet(PixelBuffer(pixels, count: labels.count, Self.shape), labels: labels, classes: classes)
  }

  private func append(
    _ path: String, limit: Int, _ pixels: inout [UInt8], _ labels: inout [Int]
  ) throws(DatasetError) {
    let file = try RegularFile(path)
    guard file.size > 0 && file.size % recordBytes == 0 else {
      throw .wrongSize(path: path, bytes: file.size, recordBytes: recordBytes)
    }
    let records = min(file.size / recordBytes, limit - labels.count)
    try ImageArray.requireMemory(pixels.count + records * recordBytes, path: path)
    let reader = try ByteReader(file, path: path)
    pixels.reserveCapacity(pixels.count + records * Self.shape.count)
    for record in 0..<records {
      let bytes = try reader.read(recordBytes)
      let label = Int(bytes[self.label])
      guard label < classes else {
        throw .badLabel(path: path, record: record, label: label, classes: classes, option: option)
      }
      labels.append(label)
      pixels.append(contentsOf: bytes[labelBytes...])
    }
  }

  /// Returns a message if the names of the files are those of an archive or of the Python or Matlab version of the data
  /// set; `marks` are names in the Python version. Returns nil otherwise.
  static func otherVersion(of classes: Int, _ names: [String], marks: [String]) -> String? {
    let binary = "cifar-\(classes)-binary.tar.gz"
    if names.contains(binary) { return "holds \(binary), which must be unpacked: tar xzf \(binary)" }
    let others = [
      (
        "Python",
        marks + [
          classes == 10 ? "cifar-10-batches-py" : "cifar-100-python", "cifar-\(classes)-python.tar.gz",
        ]
      ),
      ("Matlab", marks.map { $0 + ".mat" } + ["cifar-\(classes)-matlab.tar.gz"]),
    ]
    for (version, marks) in others {
      guard let name = marks.first(where: names.contains) else { continue }
      return
        "holds CIFAR-\(classes)'s \(version) version (\(name)); the binary version is required (\(binary))"
    }
    return nil
  }
}

/// The binary version of CIFAR-10.
package enum CIFAR10 {
  /// Reads `data_batch_*.bin`, ordered by name, or `test_batch.bin`; at most `limit` images.
  ///
  /// The directory may be the parent of the folder that the archive unpacks to. Throws a ``DatasetError`` with the path
  /// if the directory or the files are missing, a file is not a whole number of records, or a label is above `classes`
  /// - 1. Files past the limit are not opened.
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

/// The binary version of CIFAR-100: each record has a label from 20 classes and one from 100.
package enum CIFAR100 {
  /// The label to use.
  package enum Labels: String, Sendable, Hashable, CaseIterable {
    /// The 100 classes.
    case fine
    /// The 20 superclasses.
    case coarse
  }

  /// Reads `train.bin` or `test.bin`; at most `limit` images. Throws the errors of ``CIFAR10``.
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
