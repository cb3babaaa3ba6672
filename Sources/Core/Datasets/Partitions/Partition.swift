import Engine
import Foundation

/// A partition of a data set among clients; each example belongs to exactly one client.
package enum Partition: Sendable, Equatable, CustomStringConvertible {
  /// Equal parts at random.
  case even
  /// Each class is divided in proportions drawn from Dirichlet(beta): the smaller beta, the more heterogeneous the
  /// clients (arXiv 1909.06335, 2102.02079). Clients with fewer than two images then receive images from the largest
  /// client.
  case dirichlet(beta: Double)
  /// Images are sorted by label and cut into shards, and each client receives `perClient` shards (arXiv 1602.05629). A
  /// shard may contain more than one class, and two shards of a client the same class, so `perClient` is about the
  /// maximum number of classes of a client.
  case shards(perClient: Int)
  /// Nodes of a graph in parts with few edges between them (``Graph/communities(_:)``).
  case community

  /// The minimum number of images or nodes of a client, for batches of more than one.
  static let minimum = 2

  /// The accepted forms, for messages and help texts.
  package static let accepted =
    "even, dirichlet:BETA (over 0), shards:K (1 or more), community (nodes of a graph)"

  /// Parses `even`, `dirichlet:0.5`, `shards:2` and `community`. Throws ``DatasetError/badPartition(_:problem:)``.
  package init(parsing text: String) throws(DatasetError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch (parts.first, parts.dropFirst().first) {
    case ("even", nil):
      self = .even
    case ("community", nil):
      self = .community
    case ("dirichlet", let value?):
      guard let beta = Double(value), beta > 0, beta.isFinite else {
        throw .badPartition(text, problem: "BETA '\(value)' is not a number over 0")
      }
      self = .dirichlet(beta: beta)
    case ("shards", let value?):
      guard let shards = Int(value), shards >= 1 else {
        throw .badPartition(text, problem: "K '\(value)' is not a whole number of 1 or more")
      }
      self = .shards(perClient: shards)
    default:
      throw .badPartition(text, problem: "unknown")
    }
  }

  /// The form that `init(parsing:)` accepts.
  package var description: String {
    switch self {
    case .even: "even"
    case .dirichlet(let beta): "dirichlet:\(beta)"
    case .shards(let count): "shards:\(count)"
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
    guard set.count >= clients * Self.minimum else {
      throw rejection(
        "\(set.count) \(set.noun)s are too few for \(clients) clients of at least \(Self.minimum)")
    }
    var random = RandomNumbers(seed, "partition", clients)
    let parts =
      switch self {
      case .even: Self.deal(Array(0..<set.count), clients: clients, &random)
      case .dirichlet(let beta):
        Self.dirichlet(beta, labels: try labels(of: set), classes(of: set), clients: clients, &random)
      case .shards(let count):
        try shards(count, labels: try labels(of: set), set.noun, clients: clients, &random)
      case .community: try communities(of: set, clients)
      }
    return parts.map { $0.sorted() }
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
  private static func dealUnlabelled(
    _ labels: [Int], to parts: inout [[Int]], _ random: inout RandomNumbers
  ) {
    let unlabelled = labels.indices.filter { labels[$0] < 0 }
    guard !unlabelled.isEmpty else { return }
    for (client, dealt) in deal(unlabelled, clients: parts.count, &random).enumerated() {
      parts[client] += dealt
    }
  }
}

extension Partition {
  /// Divides each class in proportions drawn from Dirichlet(beta), deals what has no label, then moves single examples
  /// from the largest client to
  /// those with fewer than ``minimum``, so that a small beta works with many clients.
  static func dirichlet(
    _ beta: Double, labels: [Int], _ classes: Int, clients: Int, _ random: inout RandomNumbers
  ) -> [[Int]] {
    var byClass = [[Int]](repeating: [], count: classes)
    for (index, label) in labels.enumerated() where label >= 0 { byClass[label].append(index) }
    var parts = [[Int]](repeating: [], count: clients)
    for images in byClass {
      let shuffled = images.shuffled(using: &random)
      let proportions = random.dirichlet(beta, count: clients)
      var (sum, start) = (0.0, 0)
      for client in 0..<clients {
        sum += proportions[client]
        let end = client == clients - 1 ? images.count : Int((sum * Double(images.count)).rounded())
        // Rounding may raise the sum slightly above 1.
        let stop = min(max(end, start), images.count)
        parts[client] += shuffled[start..<stop]
        start = stop
      }
    }
    dealUnlabelled(labels, to: &parts, &random)
    repair(&parts, &random)
    return parts
  }

  /// Moves images from the largest client to those with too few. It terminates because there are at least `clients` x
  /// `minimum` items: while a client has too few, the largest has more than enough.
  private static func repair(_ parts: inout [[Int]], _ random: inout RandomNumbers) {
    for client in parts.indices {
      while parts[client].count < minimum {
        var largest = 0
        for other in parts.indices where parts[other].count > parts[largest].count { largest = other }
        let taken = parts[largest].remove(at: random.below(parts[largest].count))
        parts[client].append(taken)
      }
    }
  }
}

extension RandomNumbers {
  /// Returns `count` proportions with sum 1 from the symmetric Dirichlet distribution.
  ///
  /// It computes with logarithms, because the gamma variables underflow to zero if beta is small.
  mutating func dirichlet(_ beta: Double, count: Int) -> [Double] {
    let logarithms = (0..<count).map { _ in logGamma(shape: beta) }
    let largest = logarithms.max() ?? 0
    let weights = logarithms.map { exp($0 - largest) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  /// Returns the logarithm of a gamma variable of scale 1 (Marsaglia and Tsang 2000). For a shape below 1, the variable
  /// is one of shape + 1, times a uniform number to the power of 1 / shape.
  mutating func logGamma(shape: Double) -> Double {
    if shape < 1 { return logGamma(shape: shape + 1) + log(openUniform()) / shape }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = Double(normal())
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      if log(openUniform()) < 0.5 * x * x + d - d * v + d * log(v) { return log(d) + log(v) }
    }
  }

  /// Returns a uniform number in 0 … 1, without the ends, whose logarithms would be infinite or useless.
  private mutating func openUniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }
}

extension Partition {
  /// Sorts the images by label, cuts them into clients x `perClient` shards whose sizes differ by at most one, and
  /// assigns `perClient` random shards to each client (McMahan et al., arXiv 1602.05629).
  func shards(
    _ perClient: Int, labels: [Int], _ noun: String, clients: Int, _ random: inout RandomNumbers
  ) throws(DatasetError) -> [[Int]] {
    let labelled = labels.indices.filter { labels[$0] >= 0 }
    let (shards, overflow) = clients.multipliedReportingOverflow(by: perClient)
    guard !overflow && shards <= labelled.count else {
      throw rejection(
        "\(labelled.count) \(noun)s are too few for \(perClient) shards for each of \(clients) clients")
    }
    // Shuffled first, so that the seed determines which images of a class form a shard.
    let shuffled = labelled.shuffled(using: &random)
    var byClass = [[Int]](repeating: [], count: (labels.max() ?? 0) + 1)
    for index in shuffled { byClass[labels[index]].append(index) }
    let sorted = byClass.flatMap { $0 }
    let order = (0..<shards).shuffled(using: &random)
    var parts = (0..<clients).map { client in
      order[client * perClient..<(client + 1) * perClient].flatMap { shard in
        sorted[shard * sorted.count / shards..<(shard + 1) * sorted.count / shards]
      }
    }
    Self.dealUnlabelled(labels, to: &parts, &random)
    // Only a single shard of one image is too small; two shards have at least two images.
    guard parts.allSatisfy({ $0.count >= Self.minimum }) else {
      throw rejection("a client would have fewer than \(Self.minimum) \(noun)s")
    }
    return parts
  }
}

/// A client's share of a partitioned data set.
package struct Share: Sendable, Hashable, CustomStringConvertible {
  /// The index of the client, 0 ..< `count`.
  package let index: Int
  /// The number of clients.
  package let count: Int

  package init(_ index: Int, of count: Int) {
    precondition((0..<count).contains(index), "share \(index) of \(count)")
    (self.index, self.count) = (index, count)
  }

  /// The number of clients that a simulation supports.
  package static let counts = 1...10_000

  /// Parses `0/4`, the first of four; nil for other text.
  package init?(parsing text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let index = numbers[0], let count = numbers[1], Self.counts.contains(count),
      (0..<count).contains(index)
    else { return nil }
    self.init(index, of: count)
  }

  /// The form that `init(parsing:)` accepts.
  package var description: String { "\(index)/\(count)" }

  /// Returns the name of the client with this share: `stem-2`, or `stem-02` of eleven.
  ///
  /// Names sort like numbers, because aggregation follows their order.
  package func name(_ stem: String) -> String {
    let digits = String(count - 1).count
    let number = String(index)
    return "\(stem)-" + String(repeating: "0", count: digits - number.count) + number
  }

  /// Returns the examples of this share of a set partitioned with the seed. Throws the errors of
  /// ``Partition/split(_:clients:seed:)``.
  package func examples(
    of set: Dataset, by partition: Partition, seed: UInt64
  ) throws(DatasetError) -> Dataset {
    set.subset(try partition.split(set, clients: count, seed: seed)[index])
  }
}
