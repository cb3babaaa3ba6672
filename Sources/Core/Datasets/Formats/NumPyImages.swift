import Support

/// Images in NumPy's files: one array (.npy), or named arrays in an archive (.npz), as MedMNIST has them.
package enum NumPyImages {
  /// The parts of a data set of MedMNIST.
  package enum Split: String, Sendable, Hashable, CaseIterable {
    case train, val, test
  }

  /// Which arrays of an archive are meant.
  struct Keys: Sendable, Hashable {
    let images: String
    /// Nil where labels are not wanted.
    let labels: String?
    /// Whether labels must be there.
    let needsLabels: Bool

    /// What is not given follows MedMNIST: `train_images`, and `train_labels` if there are such. Labels of the name
    /// `none` are not wanted.
    init(_ split: Split, images: String?, labels: String?) {
      self.images = images ?? "\(split.rawValue)_images"
      self.labels = labels == "none" ? nil : labels ?? (images == nil ? "\(split.rawValue)_labels" : nil)
      needsLabels = labels != nil
    }
  }

  /// An array in a file, [N, H, W], [N, H, W, C] or [N, C, H, W]; labels [N] or [N, 1] in another file.
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

  /// Arrays of an archive.
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

  /// The images with their labels, and whether all of them were taken.
  private static func set(
    _ images: NumPyArray, _ labels: NumPyArray?, limit: Int?
  ) throws(DatasetError) -> (ImageSet, isWhole: Bool) {
    let pixels = try NumPyPixels(images)
    let array = try ImageArray(sides: images.shape, path: images.reader.path)
    let taken = min(array.count, limit ?? Int.max)
    var given: LabelArray?
    // Training needs none, so that several of an image do not stop it.
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
      // All of them are read, however many are taken.
      try ImageArray.requireMemory(all + taken * array.shape.count, path: images.reader.path)
    }
    let buffer = try array.read(limit: limit, path: images.reader.path, pixels.next)
    let set = ImageSet(
      buffer, labels: given?.labels, classes: given?.classes ?? 0, labelProblem: problem)
    return (set, taken == array.count)
  }
}

/// The elements of an array of NumPy as the bytes of images, one image after another, whatever their type and order.
final class NumPyPixels {
  private let array: NumPyArray
  private let element: NumPyElement
  /// Of an array that is stored by columns: all of it, as it is stored.
  private var columns: [UInt8]?
  private var position = 0

  /// Elements that are read at a time.
  private static let piece = 1 << 16

  /// Throws a ``DatasetError`` for elements that cannot be bytes of images.
  init(_ array: NumPyArray) throws(DatasetError) {
    guard let element = array.element, element.kind != .truth else {
      throw .malformed(
        path: array.reader.path,
        problem:
          "holds \(array.type), where images are bytes, or whole numbers of 0 to 255, or floats of 0 to 1")
    }
    (self.array, self.element) = (array, element)
  }

  /// The bytes of the next elements, image after image. Throws a ``DatasetError`` where one is no byte.
  func next(_ count: Int) throws(DatasetError) -> [UInt8] {
    guard array.isByColumns else { return try read(count) }
    let stored: [UInt8]
    if let columns { stored = columns } else { stored = try read(array.count ?? 0) }
    columns = stored
    defer { position += count }
    return (position..<position + count).map { stored[place(of: $0)] }
  }

  /// Where an element that has an index by rows is by columns: there the first side's index changes fastest.
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
