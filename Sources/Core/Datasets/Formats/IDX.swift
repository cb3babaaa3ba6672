/// MNIST's format and that of its kin: big-endian sides, then bytes; gzipped or not (LeCun, Cortes and Burges).
enum IDX {
  private static let bytesType: UInt8 = 8
  private static let mostSides = 4

  /// Reads a file of images and one of labels. For a directory both are those that MNIST's kin name, after the role:
  /// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-`…, each with `.gz` or without.
  ///
  /// Throws a ``DatasetError`` that names the file.
  static func read(
    _ path: String, labels: String?, role: DataRole, limit: Int?
  ) throws(DatasetError) -> ImageSet {
    if DataDirectory.isDirectory(path) {
      let stem = role == .train ? "train" : "t10k"
      let images = try file("\(stem)-images-idx3-ubyte", in: path)
      let own = labels == nil ? try file("\(stem)-labels-idx1-ubyte", in: path) : labels
      return try read(images: images, labels: own, limit: limit)
    }
    return try read(images: path, labels: labels, limit: limit)
  }

  private static func file(_ name: String, in directory: String) throws(DatasetError) -> String {
    try DataDirectory.files(in: directory, called: "\(name)[.gz]") { $0 == name || $0 == name + ".gz" }[0]
  }

  private static func read(
    images: String, labels: String?, limit: Int?
  ) throws(DatasetError) -> ImageSet {
    let reader = try ByteReader(opening: images)
    let sides = try sides(reader)
    guard sides.count >= 3 else {
      throw .malformed(
        path: images, problem: "has \(sides.count) sides, where images have 3 or 4: is it labels?")
    }
    let array = try ImageArray(sides: sides, path: images)
    let pixels = try array.read(reader, limit: limit)
    if pixels.count == array.count { try reader.finish() }
    let given = try labels.map { path throws(DatasetError) in
      try LabelArray(self.labels(path), images: array.count, taken: pixels.count, path: path)
    }
    return ImageSet(pixels, labels: given?.labels, classes: given?.classes ?? 0)
  }

  private static func labels(_ path: String) throws(DatasetError) -> [Int] {
    let reader = try ByteReader(opening: path)
    let sides = try sides(reader)
    guard sides.count == 1 else {
      throw .malformed(path: path, problem: "has \(sides.count) sides, where labels have one")
    }
    let labels = try reader.read(sides[0])
    try reader.finish()
    return labels.map { Int($0) }
  }

  /// Reads the header: two zeros, the type, the number of sides, and the sides, 4 bytes each.
  private static func sides(_ reader: ByteReader) throws(DatasetError) -> [Int] {
    let magic = try reader.read(4)
    guard magic[0] == 0, magic[1] == 0, (1...mostSides).contains(Int(magic[3])) else {
      throw .malformed(path: reader.path, problem: "is no IDX file")
    }
    guard magic[2] == bytesType else {
      throw .malformed(
        path: reader.path, problem: "holds numbers of type \(magic[2]), where bytes are type 8")
    }
    let sides = try reader.read(4 * Int(magic[3]))
    return stride(from: 0, to: sides.count, by: 4).map { start in
      sides[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
    }
  }
}
