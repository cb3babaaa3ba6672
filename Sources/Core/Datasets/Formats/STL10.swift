/// The binary version of STL-10 (Coates, Ng and Lee 2011): images of 3 x 96 x 96, stored by columns, and labels of 1 to
/// 10 in a separate file.
package enum STL10 {
  /// The splits of the data set.
  package enum Split: String, Sendable, Hashable, CaseIterable {
    case train, test
    /// 100,000 images without labels.
    case unlabelled
  }

  private static let shape = ImageShape(channels: 3, height: 96, width: 96)
  private static let classes = 10

  /// Reads `train_X.bin` and `train_y.bin`, `test_X.bin` and `test_y.bin`, or `unlabeled_X.bin`; at most `limit`
  /// images. Throws a ``DatasetError`` with the path.
  package static func read(
    directory: String, split: Split, limit: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    let stem = split == .unlabelled ? "unlabeled" : split.rawValue
    let path = try file("\(stem)_X.bin", in: directory)
    let file = try RegularFile(path)
    guard file.size > 0 && file.size % shape.count == 0 else {
      throw .wrongSize(path: path, bytes: file.size, recordBytes: shape.count)
    }
    let array = ImageArray(count: file.size / shape.count, shape, .columns)
    let pixels = try array.read(ByteReader(file, path: path), limit: limit)
    guard split != .unlabelled else { return ImageSet(pixels) }
    let labels = try labels(self.file("\(stem)_y.bin", in: directory), images: array.count)
    return ImageSet(pixels, labels: Array(labels.prefix(pixels.count)), classes: classes)
  }

  private static func file(_ name: String, in directory: String) throws(DatasetError) -> String {
    try DataDirectory.files(in: directory, nested: ["stl10_binary"], called: name, { $0 == name })[0]
  }

  private static func labels(_ path: String, images: Int) throws(DatasetError) -> [Int] {
    let file = try RegularFile(path)
    guard file.size == images else {
      throw .malformed(path: path, problem: "has \(file.size) labels for \(images) images")
    }
    let bytes = try ByteReader(file, path: path).read(images)
    if let record = bytes.firstIndex(where: { !(1...UInt8(classes)).contains($0) }) {
      throw .malformed(
        path: path, problem: "record \(record) has label \(bytes[record]), where labels are 1 to \(classes)")
    }
    return bytes.map { Int($0) - 1 }
  }
}
