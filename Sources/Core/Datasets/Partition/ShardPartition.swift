import Engine

extension Partition {
  /// Sorts the images by label, cuts them into clients x `perClient` shards whose sizes differ by one at
  /// most, and gives every client `perClient` shards at random (McMahan et al., arXiv 1602.05629).
  func shards(
    _ perClient: Int, labels: [Int], clients: Int, _ random: inout RandomNumbers
  ) throws(DatasetError) -> [[Int]] {
    let (shards, overflow) = clients.multipliedReportingOverflow(by: perClient)
    guard !overflow && shards <= labels.count else {
      throw rejection("\(labels.count) images do not make \(perClient) shards for each of \(clients) clients")
    }
    // Shuffled first, so that which images of a class are in a shard depends on the seed.
    let shuffled = (0..<labels.count).shuffled(using: &random)
    var byClass = [[Int]](repeating: [], count: (labels.max() ?? 0) + 1)
    for index in shuffled { byClass[labels[index]].append(index) }
    let sorted = byClass.flatMap { $0 }
    let order = (0..<shards).shuffled(using: &random)
    let parts = (0..<clients).map { client in
      order[client * perClient..<(client + 1) * perClient].flatMap { shard in
        sorted[shard * sorted.count / shards..<(shard + 1) * sorted.count / shards]
      }
    }
    // Only single shards of one image can be too small: two shards hold two images.
    guard parts.allSatisfy({ $0.count >= Self.minimumImages }) else {
      throw rejection("a client would have fewer than \(Self.minimumImages) images")
    }
    return parts
  }
}
