import Foundation
import Support

/// A graph as files in a folder, with or without a header line, gzipped or not:
///
/// - `edges`: two node numbers a line, or an array [E, 2] or [2, E]
/// - `features`: a line of numbers for each node, an array [N, F], or the sparse rows of `scipy.sparse.save_npz`
/// - `labels`: optional; a number or a name for each node, or lines of a node and its label, or an array [N]
/// - `train`, `val`, `test`: optional; lists of node numbers
///
/// Text is `.csv`, `.tsv` or `.txt`; arrays are `.npy`. Nodes are numbered from 0 in the order of the features.
struct GraphFolder {
  private let path: String
  private let names: [String]

  private static let texts = ["csv", "tsv", "txt"]

  /// Lists a folder. Throws a ``DatasetError`` if it cannot be read.
  init(_ path: String) throws(DatasetError) {
    try DataDirectory.require(path)
    self.path = path
    names = try DataDirectory.names(in: path)
  }

  /// Reads all files. Throws a ``DatasetError`` that names the file and the place in it.
  func tables() throws(DatasetError) -> GraphTables {
    let edgesFile = try require("edges", Self.texts + ["npy"])
    let features = try features()
    let count = features.count
    try GraphTables.requireNodes(count, path: path)
    let edges =
      edgesFile.isArray
      ? try array(edgesFile) { array throws(DatasetError) in try array.edges(nodes: count) }
      : try GraphText.edges(edgesFile.path, nodes: count)
    return GraphTables(
      path: path, features: features, edges: edges, labels: try labels(count),
      parts: (try part(["train"], count), try part(["val", "valid"], count), try part(["test"], count)))
  }

  private func features() throws(DatasetError) -> NodeFeatures {
    let file = try require("features", Self.texts + ["npy", "npz"])
    if file.path.hasSuffix(".npz") {
      return try GraphArchive(opening: file.path).features(prefix: "", dense: nil)
    }
    if file.isArray { return try array(file) { array throws(DatasetError) in try array.features() } }
    let table = try NumberTable(opening: file.path, widest: NodeFeatures.widest)
    return NodeFeatures(table.values, width: table.columns)
  }

  private func labels(_ count: Int) throws(DatasetError) -> GraphTables.Labels {
    guard let file = try find(["labels"], Self.texts + ["npy"]) else { return .none(count) }
    return file.isArray
      ? try array(file) { array throws(DatasetError) in try array.labels(nodes: count) }
      : try LabelText(opening: file.path).labels(nodes: count)
  }

  private func part(_ stems: [String], _ count: Int) throws(DatasetError) -> GraphTables.Part? {
    guard let file = try find(stems, Self.texts + ["npy"]) else { return nil }
    let nodes =
      file.isArray
      ? try array(file) { array throws(DatasetError) in
        try array.indices(below: count, of: "entry", called: "node")
      }
      : try GraphText.nodes(file.path, below: count)
    return GraphTables.Part(path: file.path, nodes: nodes.map { Int($0) })
  }

  // MARK: - Files

  private struct Found {
    let path: String
    let isArray: Bool
  }

  private func require(_ stem: String, _ endings: [String]) throws(DatasetError) -> Found {
    if let found = try find([stem], endings) { return found }
    let names = endings.map { "\(stem).\($0)" }
    throw .noFiles(
      path: path, pattern: names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1])
  }

  /// Returns the file with one of the stems and endings; nil if there is none. Throws if there are several.
  private func find(_ stems: [String], _ endings: [String]) throws(DatasetError) -> Found? {
    let wanted = Set(stems.flatMap { stem in endings.flatMap { ["\(stem).\($0)", "\(stem).\($0).gz"] } })
    let found = names.filter(wanted.contains)
    guard found.count <= 1 else {
      throw .malformed(path: path, problem: "has \(found.joined(separator: " and ")); only one is possible")
    }
    return found.first.map { name in
      Found(path: "\(path)/\(name)", isArray: name.hasSuffix(".npy") || name.hasSuffix(".npy.gz"))
    }
  }

  private func array<Result>(
    _ file: Found, _ body: (NumPyArray) throws(DatasetError) -> Result
  ) throws(DatasetError) -> Result {
    let array = try NumPyArray(ByteReader(opening: file.path))
    let result = try body(array)
    try array.reader.finish()
    return result
  }
}

/// Lists of node numbers in text.
private enum GraphText {
  /// Reads edges, two nodes a line.
  static func edges(_ path: String, nodes: Int) throws(DatasetError) -> [Int32] {
    let lines = try TextLines(opening: path)
    var edges: [Int32] = []
    var isFirst = true
    while let line = try lines.nextData() {
      var fields = NumberFields(line)
      guard let one = fields.next(), let other = fields.next(), fields.next() == nil else {
        let count = NumberFields(line).reduce(0) { count, _ in count + 1 }
        throw lines.damage(
          "has \(counted(count, "column")), where an edge is two nodes"
            + (count > 2 ? "; edges have no weights" : ""))
      }
      defer { isFirst = false }
      if isFirst, one.real == nil, other.real == nil { continue }
      edges.append(try node(one, below: nodes, lines))
      edges.append(try node(other, below: nodes, lines))
    }
    return edges
  }

  /// Reads a list of nodes.
  static func nodes(_ path: String, below count: Int) throws(DatasetError) -> [Int32] {
    let lines = try TextLines(opening: path)
    var nodes: [Int32] = []
    var isFirst = true
    while let line = try lines.nextData() {
      defer { isFirst = false }
      for field in NumberFields(line) where !(isFirst && field.real == nil) {
        nodes.append(try node(field, below: count, lines))
      }
    }
    return nodes
  }

  private static func node(
    _ field: TextLines.Text, below count: Int, _ lines: TextLines
  ) throws(DatasetError) -> Int32 {
    guard let node = field.whole, node >= 0, node < count else {
      throw lines.damage("has the node \(field.shown), where it is a whole number of 0 to \(count - 1)")
    }
    return Int32(node)
  }
}
