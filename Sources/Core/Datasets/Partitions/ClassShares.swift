import Engine

extension Partition {
  /// Gives each client exactly K classes, or all of them if there are fewer, and each image to one client.
  ///
  /// A class is divided among some clients, at least one, so that the parts of all classes are as equal in size as
  /// possible: each further part goes to the class whose parts are the largest. Classes with many parts are given
  /// first, each to the clients that lack the most classes and of these to the smallest ones, which always succeeds
  /// (Gale 1957; Ryser 1957).
  func shares(
    _ perClient: Int, labels: [Int], _ noun: String, clients: Int, _ random: inout RandomNumbers
  ) throws(DatasetError) -> [[Int]] {
    var byClass: [[Int]] = []
    for label in Set(labels).sorted() where label >= 0 {
      byClass.append(labels.indices.filter { labels[$0] == label }.shuffled(using: &random))
    }
    let each = min(perClient, byClass.count)
    let counts = try shareCounts(byClass.map(\.count), clients: clients, each: each, noun)
    var parts = [[Int]](repeating: [], count: clients)
    var lacking = [Int](repeating: each, count: clients)
    for position in counts.indices.sorted(by: { (counts[$1], $0) < (counts[$0], $1) }) {
      let order = (0..<clients).shuffled(using: &random)
      let takers = order.sorted { (lacking[$1], parts[$0].count) < (lacking[$0], parts[$1].count) }
        .prefix(counts[position])
      let images = byClass[position]
      for (share, client) in takers.sorted(by: { parts[$0].count > parts[$1].count }).enumerated() {
        let (start, end) = (share * images.count / takers.count, (share + 1) * images.count / takers.count)
        parts[client] += images[start..<end]
        lacking[client] -= 1
      }
    }
    Self.dealUnlabelled(labels, to: &parts, &random)
    guard parts.allSatisfy({ $0.count >= Self.minimum }) else {
      throw rejection("a client would have fewer than \(Self.minimum) \(noun)s")
    }
    return parts
  }

  /// Returns the number of clients that share each class of `sizes` images, so that `clients` clients have `each` of
  /// them.
  private func shareCounts(
    _ sizes: [Int], clients: Int, each: Int, _ noun: String
  ) throws(DatasetError) -> [Int] {
    let (shares, overflow) = clients.multipliedReportingOverflow(by: each)
    guard !overflow && shares >= sizes.count else {
      throw rejection(
        "\(clients) clients of \(each) of \(sizes.count) classes leave classes without a client; at least \((sizes.count + each - 1) / max(each, 1)) clients are needed"
      )
    }
    var counts = [Int](repeating: 1, count: sizes.count)
    for _ in sizes.count..<shares {
      var largest: Int?
      for place in sizes.indices where counts[place] < min(clients, sizes[place]) {
        guard let other = largest else {
          largest = place
          continue
        }
        // The larger part, without division: sizes[place] / counts[place] > sizes[other] / counts[other].
        if sizes[place] * counts[other] > sizes[other] * counts[place] { largest = place }
      }
      guard let largest else {
        throw rejection("the classes have too few \(noun)s for \(clients) clients of \(each) classes")
      }
      counts[largest] += 1
    }
    return counts
  }
}
