import Support

/// Images in NumPy's files: one array (.npy), or named arrays in an archive (.npz), as in MedMNIST.
package enum NumPyImages {
  /// The splits of a MedMNIST data set.
  package enum Split: String, Sendable, Hashable, CaseIterable {
    case train, val, test
  }

  /// The names of arrays in an archive.
  struct Keys: Sendable, Hashable {
    let images: String
    /// The name of the labels; nil for no labels.
    let labels: String?
    /// Whether labels are required.
    let needsLabels: Bool

    /// Creates the keys. Those not given follow MedMNIST: `train_images`, and `train_labels` if present. The name
    /// `none` for labels means no labels.
    init(_ split: Split, images: String?, labels: String?) {
      self.images = images ?? "\(split.rawValue)_images"
      self.labels = labels == "none" ? nil : labels ?? (images == nil ? "\(split.rawValue)_labels" : nil)
      needsLabels = labels != nil
    }
  }

  /// Reads an array from a file, [N, H, W], [N, H, W, C] or [N, C, H, W], with labels [N] or [N, 1] from another file.
  static func read(
    array path: String, labels: String?, limit: Int?
  ) throws(DatasetError) -> ImageSet {
    let images = try NumPyArray(ByteReader(opening: path))
    let labels = try labels.map { path throws(DatasetError) in try NumPyArray(ByteReader(opening: path)) }
    let (set, isWhole) = try set(images, labels, limit: limit)
    if isWhole { try images.reader.finish() }
    if set.labels != nil { try labels?.reader.finish() }
    return set
  }

  /// Reads arrays of an archive.
  static func read(archive path: String, _ keys: Keys, limit: Int?) throws(DatasetError) -> ImageSet {
    let archive = try ZipArchive(opening: path)
    let member = try find(keys.images, in: archive)
    let images = try NumPyArray(archive.open(member))
    var labels: (member: ZipArchive.Member, array: NumPyArray)?
    if let key = keys.labels, keys.needsLabels || names(archive).contains(key) {
      let member = try find(key, in: archive)
      labels = (member, try NumPyArray(archive.open(member)))
    }
    let (set, isWhole) = try set(images, labels?.array, limit: limit)
    if isWhole { try archive.check(member, images.reader) }
    if let labels, set.labels != nil { try archive.check(labels.member, labels.array.reader) }
    return set
  }

  private static func names(_ archive: ZipArchive) -> [String] {
    archive.members.map(\.name).filter { $0.hasSuffix(".npy") }.map { String($0.dropLast(4)) }
  }

  private static func find(_ key: String, in archive: ZipArchive) throws(DatasetError) -> ZipArchive.Member {
    if let member = archive.members.first(where: { $0.name == key + ".npy" }) { return member }
    let names = names(archive)
    let hint = Spelling.nearest(to: key, among: names).map { "; did you mean \($0)?" } ?? "."
    throw .malformed(
      path: archive.path,
      problem: "has no array '\(key)'\(hint) It holds \(Spelling.shortened(names.joined(separator: ", ")))")
  }

  /// Returns the images with their labels, and whether all images were taken.
  private static func set(
    _ images: NumPyArray, _ labels: NumPyArray?, limit: Int?
  ) throws(DatasetError) -> (ImageSet, isWhole: Bool) {
    let pixels = try NumPyPixels(images)
    let array = try ImageArray(sides: images.shape, path: images.reader.path)
    let taken = min(array.count, limit ?? Int.max)
    var given: LabelArray?
    // Training needs no labels, so several labels per image are not an error.
    let problem = labels.flatMap { labels in
      labels.shape.dropFirst().allSatisfy { $0 == 1 } && labels.shape.count <= 2
        ? nil : "\(labels.reader.path) has the shape \(labels.shape), where labels are [N] or [N, 1]"
    }
    if let labels, problem == nil {
      try LabelArray.require(labels.count ?? .max, of: array.count, path: labels.reader.path)
      given = try LabelArray(
        labels.integers(), images: array.count, taken: taken, path: labels.reader.path)
    }
    if images.isByColumns, let all = images.count {
      // All elements of an array stored by columns are read, however many images are taken.
      try ImageArray.requireMemory(all + taken * array.shape.count, path: images.reader.path)
    }
    let buffer = try array.read(limit: limit, path: images.reader.path, pixels.next)
    let set = ImageSet(
      buffer, labels: given?.labels, classes: given?.classes ?? 0, labelProblem: problem)
    return (set, taken == array.count)
  }
}

/// Converts the elements of a NumPy array to pixel bytes in the order of the images, for every type and order.
final class NumPyPixels {
  private let array: NumPyArray
  private let element: NumPyElement
  /// All elements as stored, for an array stored by columns.
  private var columns: [UInt8]?
  private var position = 0

  /// The number of elements read at a time.
  private static let piece = 1 << 16

  /// Throws a ``DatasetError`` for elements that cannot be pixels.
  init(_ array: NumPyArray) throws(DatasetError) {
    guard let element = array.element, element.kind != .truth else {
      throw .malformed(
        path: array.reader.path,
        problem:
          "holds \(array.type), where images are bytes, or whole numbers of 0 to 255, or floats of 0 to 1")
    }
    (self.array, self.element) = (array, element)
  }

  /// Returns the next `count` elements as bytes, image by image. Throws a ``DatasetError`` if one is not a byte.
  func next(_ count: Int) throws(DatasetError) -> [UInt8] {
    guard array.isByColumns else { return try read(count) }
    let stored: [UInt8]
    if let columns { stored = columns } else { stored = try read(array.count ?? 0) }
    columns = stored
    defer { position += count }
    return (position..<position + count).map { stored[place(of: $0)] }
  }

  /// Converts an index by rows to an index by columns, where the first side changes fastest.
  private func place(of index: Int) -> Int {
    var (index, place) = (index, 0)
    for side in array.shape.reversed() {
      place = place * side + index % side
      index /= side
    }
    return place
  }

  private func read(_ count: Int) throws(DatasetError) -> [UInt8] {
    if element.isByte { return try array.reader.read(count) }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(count)
    while pixels.count < count {
      let stored = try array.reader.read(min(Self.piece, count - pixels.count) * element.width)
      for index in stride(from: 0, to: stored.count, by: element.width) {
        guard let byte = element.byte(stored, at: index) else {
          let range = element.kind == .float ? "floats are 0 to 1" : "whole numbers are 0 to 255"
          throw .malformed(
            path: array.reader.path,
            problem:
              "element \(pixels.count) is \(element.shown(stored, at: index)), where an image's \(range)")
        }
        pixels.append(byte)
      }
    }
    return pixels
  }
}
