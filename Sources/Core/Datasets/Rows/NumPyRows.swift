import Support

/// Rows in NumPy's files: one array (.npy) of inputs and targets, or arrays of both in an archive (.npz).
enum NumPyRows {
  /// Reads an array [m, n + k] whose last columns are targets, or one of inputs [m, n] with the targets [m, k] or [m] of
  /// another file.
  static func read(array path: String, _ options: RowOptions, limit: Int?) throws(DatasetError) -> FeatureRows
  {
    let array = try NumPyArray(ByteReader(opening: path))
    let numbers = try NumberRows(array, limit: limit)
    switch options.targets {
    case .last(let count):
      guard count < numbers.columns else {
        throw .malformed(
          path: path,
          problem:
            "has \(counted(numbers.columns, "column")), too few for \(counted(count, "target")) and an input")
      }
      let (inputs, targets) = numbers.split(last: count)
      return FeatureRows(
        inputs: inputs, count: numbers.columns - count, targets: targets, count: count)
    case .named(let other):
      let targets = try NumberRows(NumPyArray(ByteReader(opening: other)), limit: limit)
      return try rows(numbers, targets, path: other)
    }
  }

  /// Reads the arrays `x` and `y` of an archive, or those of a split, `x_train` and `y_train`.
  static func read(
    archive path: String, _ options: RowOptions, role: DataRole, limit: Int?
  ) throws(DatasetError) -> FeatureRows {
    let archive = try ZipArchive(opening: path)
    let names = archive.members.map(\.name).filter { $0.hasSuffix(".npy") }.map { String($0.dropLast(4)) }
    let split = options.split?.rawValue ?? (role == .train ? "train" : "test")
    let isSplit = options.split != nil || !names.contains("x")
    let suffix = isSplit ? "_\(split)" : ""
    var target = "y\(suffix)"
    switch options.targets {
    case .named(let name): target = name
    case .last(let count):
      guard count == RowOptions.standardTargets else {
        throw .malformed(
          path: path,
          problem: "is an archive, in which targets=\(count) is no name; targets are an array of their own")
      }
    }
    func read(_ name: String) throws(DatasetError) -> NumberRows {
      guard let member = archive.members.first(where: { $0.name == name + ".npy" }) else {
        let hint = Spelling.nearest(to: name, among: names).map { "; did you mean \($0)?" } ?? "."
        throw .malformed(
          path: path,
          problem:
            "has no array '\(name)'\(hint) It holds \(Spelling.shortened(names.joined(separator: ", ")))")
      }
      let array = try NumPyArray(archive.open(member))
      let rows = try NumberRows(array, limit: limit)
      if rows.isWhole { try archive.check(member, array.reader) }
      return rows
    }
    return try rows(
      try read(options.inputs ?? "x\(suffix)"), try read(target), path: "\(path): \(target).npy")
  }

  private static func rows(
    _ inputs: NumberRows, _ targets: NumberRows, path: String
  ) throws(DatasetError) -> FeatureRows {
    guard inputs.allRows == targets.allRows else {
      throw .malformed(
        path: path,
        problem: "has \(counted(targets.allRows, "row")), and there are \(inputs.allRows) of inputs")
    }
    return FeatureRows(
      inputs: inputs.values, count: inputs.columns, targets: targets.values, count: targets.columns)
  }
}

/// The first rows of an array of numbers [m, n], or [m] as one column, in float64.
private struct NumberRows {
  /// In order of the rows.
  let values: [Double]
  let columns: Int
  /// The number of rows in the file.
  let allRows: Int
  /// Whether all rows were read.
  let isWhole: Bool

  /// The number of elements read at a time.
  private static let piece = 1 << 16

  /// Throws a ``DatasetError`` that names the row and the column of a number that is not finite.
  init(_ array: NumPyArray, limit: Int?) throws(DatasetError) {
    let path = array.reader.path
    guard let element = array.element else {
      throw .malformed(path: path, problem: "holds \(array.type), where rows are numbers")
    }
    guard array.shape.count == 1 || array.shape.count == 2 else {
      throw .malformed(path: path, problem: "has the shape \(array.shape), where rows are [m, n]")
    }
    (allRows, columns) = (array.shape[0], array.shape.count == 2 ? array.shape[1] : 1)
    guard allRows > 0 else { throw .malformed(path: path, problem: "has no rows") }
    guard (1...FeatureRows.widest).contains(columns) else {
      throw .malformed(
        path: path, problem: "has \(counted(columns, "column")), where a row has 1 to \(FeatureRows.widest)")
    }
    let taken = min(allRows, limit ?? .max)
    isWhole = taken == allRows
    // An array by columns is read to its end.
    let (read, bytes) = ((array.isByColumns ? allRows : taken) * columns, MemoryLayout<Double>.stride)
    try FeatureRows.requireMemory((read + taken * columns) * bytes, path: path)
    var values = [Double](repeating: 0, count: taken * columns)
    var first = 0
    while first < read {
      let stored = try array.reader.read(min(Self.piece, read - first) * element.width)
      for place in 0..<stored.count / element.width {
        let index = first + place
        let (row, column) =
          array.isByColumns
          ? (index % allRows, index / allRows) : (index / columns, index % columns)
        guard row < taken else { continue }
        let value = element.double(stored, at: place * element.width)
        guard value.isFinite else {
          throw .malformed(
            path: path, problem: "row \(row), column \(column) is \(value), which is not finite")
        }
        values[row * columns + column] = value
      }
      first += stored.count / element.width
    }
    if isWhole { try array.reader.finish() }
    self.values = values
  }

  /// Returns the rows without their last columns, and these.
  func split(last count: Int) -> (first: [Double], last: [Double]) {
    var (first, last): ([Double], [Double]) = ([], [])
    for row in 0..<values.count / columns {
      first += values[row * columns..<(row + 1) * columns - count]
      last += values[(row + 1) * columns - count..<(row + 1) * columns]
    }
    return (first, last)
  }
}
