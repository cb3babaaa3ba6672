import Engine
import Support

/// Which nodes are for training, validation and test.
package enum GraphSplit: String, Sendable, Hashable, CaseIterable {
  /// The lists of the source.
  case `public`
  /// The source's lists of validation and test nodes; all other labelled nodes are for training, as in the published
  /// program of L2-GCN (arXiv 2003.13606).
  case full
  /// Three fifths of the labelled nodes for training, one for validation and one for test, at random.
  case random
}

/// How a graph is made of its source.
package struct GraphOptions: Sendable, Hashable {
  /// Nil: the source's lists, or a random split if it has none.
  package let split: GraphSplit?
  /// The seed of a random split.
  package let seed: UInt64
  /// Whether each row of the features is divided by its sum.
  package let normalisesRows: Bool

  package init(split: GraphSplit? = nil, seed: UInt64 = 0, normalisesRows: Bool = false) {
    (self.split, self.seed, self.normalisesRows) = (split, seed, normalisesRows)
  }
}

/// What a source says of a graph, before it is checked as a whole.
struct GraphTables {
  /// Labels, which may be missing for some nodes.
  struct Labels {
    /// The class of each node, or ``NodeSet/unlabelled``.
    let values: [Int]
    let classes: Int
    let names: [String]?

    /// The maximum number of classes.
    static let mostClasses = 1 << 20

    static func none(_ count: Int) -> Labels {
      Labels(values: Array(repeating: NodeSet.unlabelled, count: count), classes: 0, names: nil)
    }
  }

  /// A list of nodes, with its source for messages.
  struct Part {
    let path: String
    let nodes: [Int]
  }

  /// The path of the source.
  let path: String
  let features: NodeFeatures
  /// Edges [E, 2] of nodes below `features.count`.
  let edges: [Int32]
  let labels: Labels
  /// The lists of nodes for training, validation and test; nil if the source has none of that name.
  let parts: (train: Part?, validation: Part?, test: Part?)

  /// Throws ``DatasetError/malformed(path:problem:)`` unless a source has enough nodes for a graph.
  static func requireNodes(_ count: Int, path: String) throws(DatasetError) {
    guard count >= 2 else {
      throw .malformed(path: path, problem: "has \(counted(count, "node")), and a graph needs two")
    }
    guard count <= Graph.largest else {
      throw .malformed(path: path, problem: "has \(count) nodes, more than \(Graph.largest)")
    }
  }

  /// Throws if `bytes` is above the memory limit of the process.
  static func requireMemory(_ bytes: Int?, for what: String, path: String) throws(DatasetError) {
    let memory = ProcessMemory.limit
    guard let bytes, bytes <= memory else {
      let needed = bytes.map { "\($0 / 1_000_000) MB of" } ?? "too many"
      throw .malformed(path: path, problem: "\(needed) \(what) exceed the \(memory / 1_000_000) MB of memory")
    }
  }

  /// Builds the graph. Throws a ``DatasetError`` if it has no edges, or if the split is impossible.
  consuming func nodes(_ options: GraphOptions) throws(DatasetError) -> NodeSet {
    let split = try split(options)
    let (graph, dropped) = Graph.undirected(edges, nodes: features.count)
    guard graph.edges > 0 else {
      throw .malformed(
        path: path,
        problem: dropped.selfLoops == 0
          ? "has no edges" : "has no edges but \(counted(dropped.selfLoops, "self loop"))")
    }
    return NodeSet(
      graph, options.normalisesRows ? features.normalisedByRow() : features, labels: labels.values,
      classes: labels.classes, classNames: labels.names, split: split, dropped: dropped)
  }

  // MARK: - Split

  private func split(_ options: GraphOptions) throws(DatasetError) -> NodeSet.Split {
    let given = [parts.train, parts.validation, parts.test].compactMap { $0 }
    let labelled = labels.values.indices.filter { labels.values[$0] != NodeSet.unlabelled }
    let kind = options.split ?? (given.isEmpty ? .random : .public)
    guard kind == .random || !given.isEmpty else {
      throw .malformed(
        path: path, problem: "has no lists of training, validation and test nodes for split=\(kind.rawValue)")
    }
    guard kind != .random else { return Self.draw(labelled, options.seed) }
    let owners = try owners(given)
    func chosen(_ part: Part?) -> [Int] {
      part.map { part in part.nodes.filter { labels.values[$0] != NodeSet.unlabelled }.sorted() } ?? []
    }
    let rest = { labelled.filter { owners[$0] < 0 || given[owners[$0]].path == parts.train?.path } }
    return NodeSet.Split(
      train: kind == .full ? rest() : chosen(parts.train), validation: chosen(parts.validation),
      test: chosen(parts.test))
  }

  /// Returns the index of the list that names each node, or -1. Throws if a node is named twice.
  private func owners(_ given: [Part]) throws(DatasetError) -> [Int] {
    var owners = [Int](repeating: -1, count: features.count)
    for (index, part) in given.enumerated() {
      for node in part.nodes {
        guard owners[node] < 0 else {
          let other = given[owners[node]].path
          throw .malformed(
            path: part.path,
            problem:
              "names the node \(node)\(owners[node] == index ? " twice" : ", which \(other) names too")")
        }
        owners[node] = index
      }
    }
    return owners
  }

  /// Draws a split of the labelled nodes: a fifth for test, a fifth for validation, the rest for training.
  static func draw(_ labelled: [Int], _ seed: UInt64) -> NodeSet.Split {
    var random = RandomNumbers(seed, "split of nodes", labelled.count)
    let (order, fifth) = (labelled.shuffled(using: &random), labelled.count / 5)
    return NodeSet.Split(
      train: order[(2 * fifth)...].sorted(), validation: order[fifth..<2 * fifth].sorted(),
      test: order[..<fifth].sorted())
  }
}

extension NodeSet {
  /// Reads a graph from an archive of arrays. Throws a ``DatasetError`` that names the array and the place in it.
  package static func read(
    archive path: String, _ options: GraphOptions = GraphOptions()
  ) throws(DatasetError) -> NodeSet {
    try GraphArchive(opening: path).tables().nodes(options)
  }

  /// Reads a graph from the files of a folder. Throws a ``DatasetError`` that names the file and the place in it.
  package static func read(
    folder path: String, _ options: GraphOptions = GraphOptions()
  ) throws(DatasetError) -> NodeSet {
    try GraphFolder(path).tables().nodes(options)
  }
}
