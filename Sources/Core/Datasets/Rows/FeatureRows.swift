import Engine
import Support

/// Rows of numbers in float64: inputs, and the targets of a regression.
///
/// Subsets share the numbers: they are lists of rows.
package struct FeatureRows: Sendable {
  /// Inputs [m, n] and targets [m, k], each row after the other.
  private let inputs, targets: [Double]
  /// The stored row of each row of a subset; nil if they are the same.
  private let order: [Int]?

  /// The number of rows m.
  package let count: Int
  /// The number of inputs n of a row, at least 1.
  package let inputCount: Int
  /// The number of targets k of a row; 0 if there are none.
  package let targetCount: Int
  /// The names of inputs and targets in order; nil if the source has none.
  package let inputNames, targetNames: [String]?

  /// The largest number of inputs or targets of a row: a matrix of second moments of float64 has 2 GiB at this size.
  package static let widest = 1 << 14

  /// Creates rows of numbers.
  package init(
    inputs: [Double], count inputCount: Int, inputNames: [String]? = nil, targets: [Double] = [],
    count targetCount: Int = 0, targetNames: [String]? = nil
  ) {
    precondition(
      inputCount > 0 && inputs.count.isMultiple(of: inputCount),
      "\(inputs.count) numbers, \(inputCount) inputs")
    count = inputs.count / inputCount
    precondition(
      targets.count == count * targetCount,
      "\(targets.count) numbers, \(targetCount) targets of \(count) rows")
    (self.inputs, self.targets, order) = (inputs, targets, nil)
    (self.inputCount, self.targetCount) = (inputCount, targetCount)
    (self.inputNames, self.targetNames) = (inputNames, targetNames)
  }

  private init(_ whole: FeatureRows, order: [Int]) {
    (inputs, targets, self.order, count) = (whole.inputs, whole.targets, order, order.count)
    (inputCount, targetCount) = (whole.inputCount, whole.targetCount)
    (inputNames, targetNames) = (whole.inputNames, whole.targetNames)
  }

  /// Returns the rows at `indices` of this set, in that order; an index may repeat.
  package func subset(_ indices: [Int]) -> FeatureRows {
    for index in indices { precondition(index >= 0 && index < count, "row \(index) of \(count)") }
    return FeatureRows(self, order: order.map { order in indices.map { order[$0] } } ?? indices)
  }

  /// Returns the inputs of a row.
  package func inputs(of row: Int) -> ArraySlice<Double> {
    let place = place(of: row)
    return inputs[place * inputCount..<(place + 1) * inputCount]
  }

  /// Returns the targets of a row.
  package func targets(of row: Int) -> ArraySlice<Double> {
    let place = place(of: row)
    return targets[place * targetCount..<(place + 1) * targetCount]
  }

  /// The index of the tenth of the rows, 0 to 9, in which the first target of each is; all 0 without targets.
  package var tenths: [Int] {
    guard targetCount > 0 else { return [Int](repeating: 0, count: count) }
    let sorted = (0..<count).sorted { (targets(of: $0).first ?? 0, $0) < (targets(of: $1).first ?? 0, $1) }
    var tenths = [Int](repeating: 0, count: count)
    for (place, row) in sorted.enumerated() { tenths[row] = place * 10 / count }
    return tenths
  }

  /// Returns the same rows with other inputs, as many as before; `map(row, inputs)` gets the stored number of a row.
  func mappingInputs(_ map: (Int, ArraySlice<Double>) -> [Double]) -> FeatureRows {
    FeatureRows(
      inputs: (0..<count).flatMap { map(place(of: $0), inputs(of: $0)) }, count: inputCount,
      inputNames: inputNames, targets: (0..<count).flatMap { targets(of: $0) }, count: targetCount,
      targetNames: targetNames)
  }

  private func place(of row: Int) -> Int {
    precondition(row >= 0 && row < count, "row \(row) of \(count)")
    return order?[row] ?? row
  }
}

extension FeatureRows: RegressionRows {
  package func copy(_ rows: Range<Int>, inputs: DoubleMatrix, targets: DoubleMatrix) {
    precondition(
      inputs.rows == rows.count && inputs.columns == inputCount && targets.columns == targetCount,
      "rows of \(inputCount) and \(targetCount) into \(inputs.columns) and \(targets.columns)")
    for (place, row) in rows.enumerated() {
      Self.copy(self.inputs(of: row), to: inputs.row(place))
      Self.copy(self.targets(of: row), to: targets.row(place))
    }
  }

  private static func copy(_ values: ArraySlice<Double>, to place: UnsafeMutablePointer<Double>) {
    values.withUnsafeBufferPointer { values in
      guard let start = values.baseAddress else { return }
      place.update(from: start, count: values.count)
    }
  }
}

/// The choice of inputs and targets of a source of rows.
package struct RowOptions: Sendable, Hashable {
  enum Targets: Sendable, Hashable {
    /// The last columns.
    case last(Int)
    /// The named columns, separated by commas, the named array, or the file at a path.
    case named(String)
  }

  /// The number of targets without the option.
  static let standardTargets = 1

  let targets: Targets
  /// The names of the inputs; nil for all columns that are not targets, or for the array `x`.
  let inputs: String?
  /// The split of an archive.
  let split: NumPyImages.Split?

  /// Creates options; a number of targets is that of the last columns.
  init(targets: String? = nil, inputs: String? = nil, split: NumPyImages.Split? = nil) {
    self.targets =
      targets.map { text in Int(text).flatMap { $0 >= 0 ? .last($0) : nil } ?? .named(text) }
      ?? .last(Self.standardTargets)
    (self.inputs, self.split) = (inputs, split)
  }
}

extension FeatureRows {
  /// Reads rows from a file, whose ending is its format: npy, npz, or csv, tsv and txt, which may be gzipped. Throws a
  /// ``DatasetError``.
  static func read(
    _ path: String, _ options: RowOptions, role: DataRole, limit: Int?
  ) throws(DatasetError) -> FeatureRows {
    let name = path.lowercased()
    if name.hasSuffix(".npy") || name.hasSuffix(".npy.gz") {
      return try NumPyRows.read(array: path, options, limit: limit)
    }
    if name.hasSuffix(".npz") {
      return try NumPyRows.read(archive: path, options, role: role, limit: limit)
    }
    return try CSVRows.read(path, options, limit: limit)
  }

  /// Throws ``DatasetError/malformed(path:problem:)`` if numbers of so many bytes exceed the memory of the process.
  static func requireMemory(_ bytes: Int, path: String) throws(DatasetError) {
    let memory = ProcessMemory.limit
    guard bytes <= memory else {
      throw .malformed(
        path: path,
        problem:
          "\(bytes / 1_000_000) MB of numbers exceed the \(memory / 1_000_000) MB of memory; load fewer with limit=N"
      )
    }
  }
}
