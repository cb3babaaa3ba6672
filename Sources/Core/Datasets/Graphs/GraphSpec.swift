import Engine

extension DataSpec.Source {
  /// Whether the data are the nodes of a graph.
  var isGraph: Bool {
    switch self {
    case .graph, .blocks: true
    default: false
    }
  }
}

extension DataSpec {
  /// Whether the data are the nodes of a graph.
  var isGraph: Bool { source.isGraph }

  /// Reads or generates the nodes of a graph. Throws a ``DatasetError`` that names the file and the place in it.
  func nodes() throws(DatasetError) -> NodeSet {
    switch source {
    case .graph(let path, let options):
      // A name that ends so is a file, so that a missing one is not taken for a folder.
      return path.hasSuffix(".npz") && !DataDirectory.isDirectory(path)
        ? try NodeSet.read(archive: path, options) : try NodeSet.read(folder: path, options)
    case .blocks(let model, let normalisesRows):
      try GraphTables.requireMemory(model.bytes, for: "nodes and edges", path: description)
      return model.generate(normalisingRows: normalisesRows)
    default: throw .otherInput(own: "\(noun)s", encoder: "nodes")
    }
  }
}

extension SpecificationOptions {
  /// Returns whether the option `normalise` asks for rows of the sum 1.
  mutating func normalisesRows() throws(DatasetError) -> Bool {
    try word("normalise", NodeFeatures.Normalisation.self) == .rows
  }

  /// Returns the option `seed`, 0 if it is absent.
  fileprivate mutating func seed() throws(DatasetError) -> UInt64 {
    UInt64(try take("seed", in: 0...Int.max) ?? 0)
  }
}

extension NodeFeatures {
  /// How features are scaled.
  enum Normalisation: String, CaseIterable {
    case none
    /// Each row is divided by its sum.
    case rows
  }
}

extension GraphOptions {
  init(taking options: inout SpecificationOptions) throws(DatasetError) {
    self.init(
      split: try options.word("split"), seed: try options.seed(), normalisesRows: try options.normalisesRows()
    )
  }
}

extension BlockModel {
  init(taking options: inout SpecificationOptions) throws(DatasetError) {
    self.init(nodes: try options.number(options.argument, named: "NODES", in: 2...Self.largest))
    classes = try options.take("classes", in: 1...10_000) ?? classes
    degree = try options.take("degree", in: 1...10_000) ?? degree
    features = try options.take("features", in: 1...NodeFeatures.widest) ?? features
    words = try options.take("words", in: 1...10_000) ?? words
    homophily = try options.take("homophily", in: 0.0...1.0).map { Float($0) } ?? homophily
    noise = try options.take("noise", in: 0.0...1.0).map { Float($0) } ?? noise
    seed = try options.seed()
  }
}
