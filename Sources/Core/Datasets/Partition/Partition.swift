import Engine

/// How a data set is shared out among clients; each image goes to exactly one.
package enum Partition: Sendable, Equatable, CustomStringConvertible {
  /// At random, in equal parts.
  case even
  /// Every class is shared out in proportions drawn from Dirichlet(beta): the smaller beta, the more
  /// the clients differ (arXiv 1909.06335, 2102.02079). Whoever has fewer than two images then gets some of the largest
  /// client's.
  case dirichlet(beta: Double)
  /// Images are sorted by label and cut into shards; every client gets that many (arXiv 1602.05629). A shard may have
  /// images of more than one class, and a client two shards of the same: it has about so many classes at most.
  case shards(perClient: Int)

  /// Fewer images than this could not make a batch with more than one image.
  static let minimumImages = 2

  /// What a partition may look like, for messages and help texts.
  package static let accepted = "even, dirichlet:BETA (over 0), shards:K (1 or more)"

  /// Understands `even`, `dirichlet:0.5` and `shards:2`, or throws
  /// ``DatasetError/badPartition(_:problem:)``.
  package init(parsing text: String) throws(DatasetError) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch (parts.first, parts.dropFirst().first) {
    case ("even", nil):
      self = .even
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

  /// As `init(parsing:)` understands it.
  package var description: String {
    switch self {
    case .even: "even"
    case .dirichlet(let beta): "dirichlet:\(beta)"
    case .shards(let count): "shards:\(count)"
    }
  }

  /// The indices of each client's images, ascending; `clients` lists, together every index of `set` once.
  ///
  /// The same for the same set, number of clients and seed. Throws
  /// ``DatasetError/impossibleSplit(partition:problem:)`` where a client would have fewer than two
  /// images, or where labels are needed and missing.
  package func split(_ set: ImageSet, clients: Int, seed: UInt64) throws(DatasetError) -> [[Int]] {
    guard clients >= 1 else { throw rejection("\(clients) clients") }
    guard set.count >= clients * Self.minimumImages else {
      throw rejection(
        "\(set.count) images are too few for \(clients) clients of at least \(Self.minimumImages)")
    }
    var random = RandomNumbers(seed, "partition", clients)
    let parts =
      switch self {
      case .even: Self.deal(set.count, clients: clients, &random)
      case .dirichlet(let beta):
        Self.dirichlet(beta, labels: try labels(of: set), set.classes, clients: clients, &random)
      case .shards(let count):
        try shards(count, labels: try labels(of: set), clients: clients, &random)
      }
    return parts.map { $0.sorted() }
  }

  private func labels(of set: ImageSet) throws(DatasetError) -> [Int] {
    guard let labels = set.labels else {
      throw rejection(
        "the images are unlabelled, and it needs labels" + (set.labelProblem.map { ": \($0)" } ?? ""))
    }
    return labels
  }

  func rejection(_ problem: String) -> DatasetError {
    .impossibleSplit(partition: description, problem: problem)
  }

  /// Shuffled indices, dealt one by one: sizes differ by one at most.
  private static func deal(_ count: Int, clients: Int, _ random: inout RandomNumbers) -> [[Int]] {
    var parts = [[Int]](repeating: [], count: clients)
    for (position, index) in (0..<count).shuffled(using: &random).enumerated() {
      parts[position % clients].append(index)
    }
    return parts
  }
}
