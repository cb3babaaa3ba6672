import Engine

extension Partition {
  /// Sorts the images by label, cuts them into clients x `perClient` shards whose sizes differ by at most one, and
  /// assigns `perClient` random shards to each client (McMahan et al., arXiv 1602.05629).
  func sorted(
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
