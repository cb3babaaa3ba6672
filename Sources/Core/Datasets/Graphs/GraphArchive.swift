import Support

/// A graph in an archive of NumPy's arrays (.npz), as the citation graphs of Planetoid are often kept (Yang, Cohen,
/// Salakhutdinov, arXiv 1603.08861):
///
/// - `x` [N, F], or sparse rows `x_indptr` [N + 1], `x_indices`, `x_data` and `x_shape`, the arrays of SciPy's CSR
/// - `edges` [E, 2]
/// - `y` [N], the labels, -1 for none; optional
/// - `train_idx`, `val_idx` and `test_idx`, lists of nodes; optional
struct GraphArchive {
  private let archive: ZipArchive
  private let names: Set<String>

  /// Opens an archive. Throws a ``DatasetError`` if it is damaged.
  init(opening path: String) throws(DatasetError) {
    archive = try ZipArchive(opening: path)
    names = Set(archive.members.map(\.name))
  }

  /// Reads all arrays. Throws a ``DatasetError`` that names the array and the place in it.
  func tables() throws(DatasetError) -> GraphTables {
    let features = try features(prefix: "x_", dense: "x")
    let count = features.count
    try GraphTables.requireNodes(count, path: archive.path)
    let edges = try read("edges") { array throws(DatasetError) in try array.edges(nodes: count) }
    let labels = try readIfPresent("y") { array throws(DatasetError) in try array.labels(nodes: count) }
    return GraphTables(
      path: archive.path, features: features, edges: edges, labels: labels ?? .none(count),
      parts: (try part("train_idx", count), try part("val_idx", count), try part("test_idx", count)))
  }

  /// Reads sparse rows whose arrays' names start with `prefix`, or a dense array if it has the name `dense`.
  func features(prefix: String, dense: String?) throws(DatasetError) -> NodeFeatures {
    if let dense, has(dense) {
      return try read(dense) { array throws(DatasetError) in try array.features() }
    }
    guard has(prefix + "indptr") else {
      throw missing(dense.map { "\($0)' or '\(prefix)indptr" } ?? prefix + "indptr")
    }
    let shape = try read(prefix + "shape") { array throws(DatasetError) in try array.sides() }
    try GraphTables.requireNodes(shape.count, path: archive.path)
    let starts = try read(prefix + "indptr") { array throws(DatasetError) in
      try array.starts(rows: shape.count)
    }
    let columns = try read(prefix + "indices") { array throws(DatasetError) in
      try array.indices(below: shape.width, of: "entry", called: "feature")
    }
    let values = try read(prefix + "data") { array throws(DatasetError) in try array.values("entry") }
    for (name, count) in [("indices", columns.count), ("data", values.count)] where count != starts.last {
      throw .malformed(
        path: "\(archive.path): \(prefix)\(name).npy",
        problem: "has \(count) entries, and \(prefix)indptr ends at \(starts.last ?? 0)")
    }
    let sparse = NodeFeatures.Sparse(
      starts: starts, columns: columns, values: values.allSatisfy { $0 == 1 } ? nil : values)
    return NodeFeatures(sparse, width: shape.width)
  }

  private func has(_ name: String) -> Bool { names.contains(name + ".npy") }

  private func missing(_ name: String) -> DatasetError {
    let arrays = names.filter { $0.hasSuffix(".npy") }.map { String($0.dropLast(4)) }.sorted()
    return .malformed(
      path: archive.path,
      problem: "has no array '\(name)'. It holds \(Spelling.shortened(arrays.joined(separator: ", ")))")
  }

  private func part(_ name: String, _ count: Int) throws(DatasetError) -> GraphTables.Part? {
    let nodes = try readIfPresent(name) { array throws(DatasetError) in
      try array.indices(below: count, of: "entry", called: "node")
    }
    return nodes.map { GraphTables.Part(path: "\(archive.path): \(name).npy", nodes: $0.map { Int($0) }) }
  }

  private func readIfPresent<Result>(
    _ name: String, _ body: (NumPyArray) throws(DatasetError) -> Result
  ) throws(DatasetError) -> Result? {
    has(name) ? try read(name, body) : nil
  }

  /// Reads an array whole, and checks the member's checksum.
  private func read<Result>(
    _ name: String, _ body: (NumPyArray) throws(DatasetError) -> Result
  ) throws(DatasetError) -> Result {
    guard let member = archive.members.first(where: { $0.name == name + ".npy" }) else { throw missing(name) }
    let array = try NumPyArray(archive.open(member))
    let result = try body(array)
    try archive.check(member, array.reader)
    return result
  }
}

// MARK: - Arrays of a graph

extension NumPyArray {
  private func damage(_ problem: String) -> DatasetError { .malformed(path: reader.path, problem: problem) }

  private func number(of what: String) throws(DatasetError) -> NumPyElement {
    guard let element else { throw damage("holds \(type), where \(what) are numbers") }
    return element
  }

  /// Throws unless the array has one dimension, or others of the size 1. Returns the number of elements.
  private func list(_ what: String) throws(DatasetError) -> Int {
    guard let first = shape.first, shape.dropFirst().allSatisfy({ $0 == 1 }) else {
      throw damage("has the shape \(shape), where \(what) are [N]")
    }
    return first
  }

  /// Reads a list of whole numbers in 0 ..< `bound`. Numbers are described as "`item` 3 has the `name` 7".
  func indices(below bound: Int, of item: String, called name: String) throws(DatasetError) -> [Int32] {
    let count = try list("\(name)s")
    return try wholes(NumPyMatrix(rows: count, columns: 1), below: bound) { "\(item) \($0) has the \(name)" }
  }

  /// Reads edges [E, 2], or [2, E] as in PyTorch Geometric. Returns them as [E, 2].
  func edges(nodes: Int) throws(DatasetError) -> [Int32] {
    guard shape.count == 2, shape.contains(2) else {
      throw damage("has the shape \(shape), where edges are [E, 2] or [2, E]")
    }
    let matrix =
      shape[1] == 2
      ? NumPyMatrix(rows: shape[0], columns: 2, isByColumns: isByColumns)
      : NumPyMatrix(rows: shape[1], columns: 2, isByColumns: !isByColumns)
    return try wholes(matrix, below: nodes) { "edge \($0 / 2) has the node" }
  }

  /// Reads a label for each node; -1, or NaN among floats, for none.
  func labels(nodes: Int) throws(DatasetError) -> GraphTables.Labels {
    let count = try list("labels")
    guard count == nodes else { throw damage("has \(counted(count, "label")) for \(nodes) nodes") }
    let element = try number(of: "labels")
    var (values, classes): ([Int], Int) = ([], 0)
    values.reserveCapacity(count)
    try forEachPiece(element) { bytes, first, count throws(DatasetError) in
      for index in 0..<count {
        let label =
          element.isMissing(bytes, at: index * element.width)
          ? NodeSet.unlabelled : element.whole(bytes, at: index * element.width)
        guard let label, label >= NodeSet.unlabelled, label < GraphTables.Labels.mostClasses else {
          throw damage(
            "node \(first + index) has the label \(element.shown(bytes, at: index * element.width)), where labels "
              + "are 0 to \(GraphTables.Labels.mostClasses - 1), and -1 for none")
        }
        classes = max(classes, label + 1)
        values.append(label)
      }
    }
    return GraphTables.Labels(values: values, classes: classes, names: nil)
  }

  /// Reads dense features [N, F].
  func features() throws(DatasetError) -> NodeFeatures {
    guard shape.count == 2 else { throw damage("has the shape \(shape), where features are [N, F]") }
    let (rows, width) = (shape[0], shape[1])
    try GraphTables.requireNodes(rows, path: reader.path)
    guard (1...NodeFeatures.widest).contains(width) else {
      throw damage("has \(width) features, where a node has 1 to \(NodeFeatures.widest)")
    }
    let matrix = NumPyMatrix(rows: rows, columns: width, isByColumns: isByColumns)
    let values = try reals(matrix, "features") { "node \($0 / width), feature \($0 % width)" }
    return NodeFeatures(values, width: width)
  }

  /// Reads a list of finite numbers.
  func values(_ item: String) throws(DatasetError) -> [Float] {
    let count = try list("values")
    return try reals(NumPyMatrix(rows: count, columns: 1), "values") { "\(item) \($0)" }
  }

  /// Reads the two sides of sparse rows.
  func sides() throws(DatasetError) -> (count: Int, width: Int) {
    guard try list("sides") == 2 else { throw damage("has the shape \(shape), where the sides are [2]") }
    let sides = try integers()
    guard sides[0] >= 0, (1...NodeFeatures.widest).contains(sides[1]) else {
      throw damage("is \(sides), where N is not negative and F is 1 to \(NodeFeatures.widest)")
    }
    return (sides[0], sides[1])
  }

  /// Reads the starts of sparse rows: ascending from 0.
  func starts(rows: Int) throws(DatasetError) -> [Int] {
    let count = try list("starts of rows")
    guard count == rows + 1 else { throw damage("has \(count) starts of rows for \(rows) nodes") }
    let starts = try integers()
    guard starts[0] == 0 else { throw damage("starts with \(starts[0]) instead of 0") }
    if let row = (0..<rows).first(where: { starts[$0] > starts[$0 + 1] }) {
      throw damage("row \(row) ends at \(starts[row + 1]), before its start \(starts[row])")
    }
    return starts
  }

  // MARK: - Numbers

  /// Reads whole numbers in 0 ..< `bound` in the order of the rows; floats must be whole.
  private func wholes(
    _ matrix: NumPyMatrix, below bound: Int, place: (Int) -> String
  ) throws(DatasetError) -> [Int32] {
    let element = try number(of: "indices")
    try GraphTables.requireMemory(
      matrix.count?.multipliedReportingOverflow(by: 4).partialValue, for: "indices", path: reader.path)
    var values = [Int32](repeating: 0, count: matrix.count ?? 0)
    try forEachPiece(element) { bytes, first, count throws(DatasetError) in
      for index in 0..<count {
        let target = matrix.place(of: first + index)
        guard let value = element.whole(bytes, at: index * element.width), value >= 0, value < bound else {
          let shown = element.shown(bytes, at: index * element.width)
          throw damage(
            "\(place(target)) \(shown), where it is a whole number of 0 to \(bound - 1)")
        }
        values[target] = Int32(value)
      }
    }
    return values
  }

  /// Reads finite numbers in the order of the rows.
  private func reals(
    _ matrix: NumPyMatrix, _ what: String, place: (Int) -> String
  ) throws(DatasetError) -> [Float] {
    let element = try number(of: what)
    try GraphTables.requireMemory(
      matrix.count?.multipliedReportingOverflow(by: 4).partialValue, for: what, path: reader.path)
    var values = [Float](repeating: 0, count: matrix.count ?? 0)
    try forEachPiece(element) { bytes, first, count throws(DatasetError) in
      for index in 0..<count {
        let (value, target) = (
          element.float(bytes, at: index * element.width), matrix.place(of: first + index)
        )
        guard value.isFinite else {
          throw damage(
            "\(place(target)) is \(element.shown(bytes, at: index * element.width)), which is not finite as float32"
          )
        }
        values[target] = value
      }
    }
    return values
  }

  /// Reads the elements in pieces, in the order of the file.
  private func forEachPiece(
    _ element: NumPyElement, _ body: ([UInt8], _ first: Int, _ count: Int) throws(DatasetError) -> Void
  ) throws(DatasetError) {
    let count = count ?? 0
    var first = 0
    while first < count {
      let piece = min(1 << 16, count - first)
      try body(try reader.read(piece * element.width), first, piece)
      first += piece
    }
  }
}

/// The order of a matrix in an array file.
private struct NumPyMatrix {
  let rows: Int
  let columns: Int
  /// Whether the first index changes fastest.
  var isByColumns = false

  var count: Int? {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    return overflow ? nil : count
  }

  /// Returns the index by rows of the element at an index in the file.
  @inline(__always)
  func place(of index: Int) -> Int { isByColumns ? index % rows * columns + index / rows : index }
}
