/// The IDX format of MNIST and similar data sets: big-endian sides, then bytes; optionally gzipped (LeCun, Cortes and
/// Burges).
enum IDX {
  private static let bytesType: UInt8 = 8
  private static let mostSides = 4

  /// Subfolders that torchvision unpacks to.
  private static let nested = ["raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"]

  /// Reads a file of images and one of labels. In a directory, the files have MNIST's names for the role:
  /// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-`…, with or without `.gz`, and with a dot or a
  /// dash before `idx`.
  ///
  /// Throws a ``DatasetError`` that names the file.
  static func read(
    _ path: String, labels: String?, role: DataRole, limit: Int?
  ) throws(DatasetError) -> ImageSet {
    if DataDirectory.isDirectory(path) {
      let stem = role == .train ? "train" : "t10k"
      let images = try file(stem, "images", 3, in: path)
      let own = labels == nil ? try file(stem, "labels", 1, in: path) : labels
      return try read(images: images, labels: own, limit: limit)
    }
    return try read(images: path, labels: labels, limit: limit)
  }

  private static func file(
    _ stem: String, _ what: String, _ sides: Int, in directory: String
  ) throws(DatasetError) -> String {
    let plain = ["-", "."].map { "\(stem)-\(what)\($0)idx\(sides)-ubyte" }
    let names = plain + plain.map { $0 + ".gz" }
    return try DataDirectory.files(
      in: directory, nested: nested, called: "\(plain[0])[.gz]", names.contains)[0]
  }

  private static func read(
    images: String, labels: String?, limit: Int?
  ) throws(DatasetError) -> ImageSet {
    let reader = try ByteReader(opening: images)
    let sides = try sides(reader)
    guard sides.count >= 3 else {
      throw .malformed(
        path: images, problem: "has \(sides.count) sides, where images have 3 or 4: is it a file of labels?")
    }
    let array = try ImageArray(sides: sides, path: images)
    let pixels = try array.read(reader, limit: limit)
    if pixels.count == array.count { try reader.finish() }
    guard let labels else { return ImageSet(pixels) }
    return try labelled(pixels, of: array.count, labels)
  }

  /// Returns the images read, of `images` in the file, with the labels from another file. Images with several labels
  /// each are returned without labels and with a reason, because training does not need labels.
  private static func labelled(
    _ pixels: PixelBuffer, of images: Int, _ path: String
  ) throws(DatasetError) -> ImageSet {
    let reader = try ByteReader(opening: path)
    let sides = try sides(reader)
    guard sides.count == 1 else {
      return ImageSet(pixels, labelProblem: "\(path) has \(sides.count) sides, where labels have one")
    }
    try LabelArray.require(sides[0], of: images, path: path)
    let bytes = try reader.read(sides[0])
    try reader.finish()
    let labels = try LabelArray(bytes.map { Int($0) }, images: images, taken: pixels.count, path: path)
    return ImageSet(pixels, labels: labels.labels, classes: labels.classes)
  }

  /// Reads the header: two zeros, the type, the number of sides, and the sides, 4 bytes each.
  private static func sides(_ reader: ByteReader) throws(DatasetError) -> [Int] {
    let magic = try reader.read(4)
    guard magic[0] == 0, magic[1] == 0, (1...mostSides).contains(Int(magic[3])) else {
      throw .malformed(path: reader.path, problem: "is not an IDX file")
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
