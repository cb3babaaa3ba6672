import Engine

/// A partition of a data set among clients; each example belongs to exactly one client.
package enum Partition: Sendable, Equatable, CustomStringConvertible {
  /// Equal parts at random.
  case even
  /// Each class is divided in proportions drawn from Dirichlet(beta): the smaller beta, the more heterogeneous the
  /// clients (arXiv 1909.06335, 2102.02079). Clients with fewer than two images then receive images from the largest
  /// client.
  case dirichlet(beta: Double)
  /// Each client has exactly `classes` classes, or all if there are fewer, and the parts of the classes are as equal as
  /// possible.
  case shards(classes: Int)
  /// Images are sorted by label and cut into shards, and each client receives `perClient` shards (arXiv 1602.05629). A
  /// shard may contain more than one class, and two shards of a client the same class, so `perClient` is about the
  /// maximum number of classes of a client.
  case sorted(perClient: Int)
  /// The sizes of the clients are drawn from Dirichlet(beta), and labels play no part.
  case quantity(beta: Double)
  /// Equal parts at random, with noise on the features that grows from client to client up to a deviation of
  /// `deviation` (``FeatureNoise``).
  case noise(deviation: Double)
  /// Nodes of a graph in parts with few edges between them (``Graph/communities(_:)``).
  case community

  /// The minimum number of images or nodes of a client, for batches of more than one.
  static let minimum = 2

  /// The accepted forms, for messages and help texts.
  package static let accepted =
    "even, dirichlet:BETA and quantity:BETA (over 0), shards:K and sorted:K (1 or more), noise:SIGMA (0 or more), community (nodes of a graph)"

  /// Examples of the forms, for completions.
  package static let examples = [
    "even", "dirichlet:0.5", "shards:2", "sorted:2", "quantity:0.5", "noise:0.1", "community",
  ]

  /// Parses `even`, `dirichlet:0.5`, `shards:2` and the other forms. Throws ``DatasetError/badPartition(_:problem:)``.
  package init(parsing text: String) throws(DatasetError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    func number(_ name: String, _ value: Substring, least: Double = .leastNonzeroMagnitude)
      throws(DatasetError) -> Double
    {
      guard let number = Double(value), number >= least, number.isFinite else {
        throw .badPartition(
          text, problem: "\(name) '\(value)' is not a number \(least == 0 ? "of 0 or more" : "over 0")")
      }
      return number
    }
    func count(_ value: Substring) throws(DatasetError) -> Int {
      guard let count = Int(value), count >= 1 else {
        throw .badPartition(text, problem: "K '\(value)' is not a whole number of 1 or more")
      }
      return count
    }
    switch (parts.first, parts.dropFirst().first) {
    case ("even", nil): self = .even
    case ("community", nil): self = .community
    case ("dirichlet", let value?): self = .dirichlet(beta: try number("BETA", value))
    case ("quantity", let value?): self = .quantity(beta: try number("BETA", value))
    case ("noise", let value?): self = .noise(deviation: try number("SIGMA", value, least: 0))
    case ("shards", let value?): self = .shards(classes: try count(value))
    case ("sorted", let value?): self = .sorted(perClient: try count(value))
    default: throw .badPartition(text, problem: "unknown")
    }
  }

  /// The form that `init(parsing:)` accepts.
  package var description: String {
    switch self {
    case .even: "even"
    case .dirichlet(let beta): "dirichlet:\(beta)"
    case .shards(let classes): "shards:\(classes)"
    case .sorted(let count): "sorted:\(count)"
    case .quantity(let beta): "quantity:\(beta)"
    case .noise(let deviation): "noise:\(deviation)"
    case .community: "community"
    }
  }

  /// Returns the indices of each client's examples, ascending: `clients` lists that together contain every index of
  /// `set` once.
  ///
  /// The result is determined by the set, the number of clients and the seed. Throws
  /// ``DatasetError/impossibleSplit(partition:problem:)`` if a client would have fewer than two images, or if labels
  /// are needed and missing.
  package func split(_ set: Dataset, clients: Int, seed: UInt64) throws(DatasetError) -> [[Int]] {
    guard clients >= 1 else { throw rejection("\(clients) clients") }
    if case .noise = self, case .nodes = set {
      throw rejection("it adds noise to images and rows, not to nodes")
    }
    guard set.count >= clients * Self.minimum else {
      throw rejection(
        "\(set.count) \(set.noun)s are too few for \(clients) clients of at least \(Self.minimum)")
    }
    var random = RandomNumbers(seed, "partition", clients)
    let parts =
      switch self {
      case .even, .noise: Self.deal(Array(0..<set.count), clients: clients, &random)
      case .quantity(let beta): Self.sizes(beta, count: set.count, clients: clients, &random)
      case .dirichlet(let beta):
        Self.dirichlet(beta, labels: try labels(of: set), classes(of: set), clients: clients, &random)
      case .shards(let classes):
        try shares(classes, labels: try labels(of: set), set.noun, clients: clients, &random)
      case .sorted(let count):
        try sorted(count, labels: try labels(of: set), set.noun, clients: clients, &random)
      case .community: try communities(of: set, clients)
      }
    return parts.map { $0.sorted() }
  }

  /// Returns the examples of client `index`, whose indices ``split(_:clients:seed:)`` returned for the same arguments,
  /// with what the partition changes in them.
  package func part(
    _ index: Int, of set: Dataset, _ indices: [Int], clients: Int, seed: UInt64
  ) -> Dataset {
    let part = set.subset(indices)
    guard case .noise(let largest) = self else { return part }
    return part.with(FeatureNoise(largest, client: index, of: clients, seed: seed)) ?? part
  }

  /// Returns the class of each example, or -1 for none; for rows, the tenth in which its first target is.
  private func labels(of set: Dataset) throws(DatasetError) -> [Int] {
    if case .rows(let rows) = set { return rows.tenths }
    guard let labels = set.labels else {
      throw rejection(
        "it needs labels, and the \(set.noun)s have none" + (set.labelProblem.map { ": \($0)" } ?? ""))
    }
    return labels
  }

  private func classes(of set: Dataset) -> Int { if case .rows = set { 10 } else { set.classes } }

  /// Returns what stands for the class of each example, or -1 for none: of rows the tenth in which the first target is;
  /// nil without labels.
  package func classLabels(of set: Dataset) -> [Int]? { try? labels(of: set) }

  /// Returns the names of those classes, or their numbers.
  package func classNames(of set: Dataset) -> [String] {
    if case .rows = set { return (1...10).map { "tenth \($0)" } }
    return set.classNames ?? (0..<set.classes).map { "\($0)" }
  }

  /// Returns the deviation of the noise in the examples of a client; nil if there is none.
  package func noise(ofClient index: Int, of count: Int) -> Double? {
    guard case .noise(let largest) = self else { return nil }
    return FeatureNoise(largest, client: index, of: count, seed: 0).deviation
  }

  private func communities(of set: Dataset, _ clients: Int) throws(DatasetError) -> [[Int]] {
    guard case .nodes(let nodes) = set else {
      throw rejection("it divides graphs, and \(set.noun)s have no edges")
    }
    return nodes.graph.communities(clients)
  }

  func rejection(_ problem: String) -> DatasetError {
    .impossibleSplit(partition: description, problem: problem)
  }

  /// Distributes shuffled indices in turn; sizes differ by at most one.
  private static func deal(_ indices: [Int], clients: Int, _ random: inout RandomNumbers) -> [[Int]] {
    var parts = [[Int]](repeating: [], count: clients)
    for (position, index) in indices.shuffled(using: &random).enumerated() {
      parts[position % clients].append(index)
    }
    return parts
  }

  /// Deals what has no label, if there is any.
  static func dealUnlabelled(
    _ labels: [Int], to parts: inout [[Int]], _ random: inout RandomNumbers
  ) {
    let unlabelled = labels.indices.filter { labels[$0] < 0 }
    guard !unlabelled.isEmpty else { return }
    for (client, dealt) in deal(unlabelled, clients: parts.count, &random).enumerated() {
      parts[client] += dealt
    }
  }
}
