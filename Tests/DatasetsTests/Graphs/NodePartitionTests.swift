import Datasets
import Engine
import Testing

@Suite struct NodePartitionTests {
  /// A block model in which every fourth node has no label.
  private static let set: NodeSet = {
    let whole = BlockModel(nodes: 1003).generate()
    return NodeSet(
      whole.graph, whole.features, labels: whole.labels.enumerated().map { $0 % 4 == 0 ? -1 : $1 },
      classes: whole.classes, split: .init(train: [], validation: [], test: []))
  }()

  static let partitions: [Partition] = [
    .even, .dirichlet(beta: 0.01), .dirichlet(beta: 0.5), .sorted(perClient: 2), .shards(classes: 7),
    .quantity(beta: 0.5), .community,
  ]

  @Test(arguments: partitions, [1, 7, 40])
  func everyNodeGoesToExactlyOneClient(partition: Partition, clients: Int) throws {
    let parts = try partition.split(.nodes(Self.set), clients: clients, seed: 9)
    #expect(parts.count == clients)
    #expect(parts.flatMap { $0 }.sorted() == Array(0..<1003))
    #expect(parts.allSatisfy { $0.count >= 2 && $0 == $0.sorted() })
    #expect(try partition.split(.nodes(Self.set), clients: clients, seed: 9) == parts)
  }

  @Test(arguments: [Partition.dirichlet(beta: 0.05), .sorted(perClient: 2)])
  func nodesWithoutALabelAreDealtEvenly(partition: Partition) throws {
    let parts = try partition.split(.nodes(Self.set), clients: 7, seed: 2)
    let unlabelled = parts.map { part in part.count { Self.set.labels[$0] == NodeSet.unlabelled } }
    #expect(unlabelled.reduce(0, +) == 251 && unlabelled.min() == 35 && unlabelled.max() == 36)
    let labelled = zip(parts, unlabelled).map { $0.count - $1 }
    if case .dirichlet = partition { #expect(labelled.max()! > 2 * labelled.min()!) }
  }

  @Test func labelsAreNeededWhereTheyDecide() throws {
    let bare = NodeSet(
      Self.set.graph, Self.set.features, labels: Array(repeating: -1, count: 1003), classes: 0,
      split: .init(train: [], validation: [], test: []))
    for partition in [Partition.dirichlet(beta: 1), .sorted(perClient: 2)] {
      let error = #expect(throws: DatasetError.self) {
        try partition.split(.nodes(bare), clients: 5, seed: 1)
      }
      #expect(error?.description.contains("needs labels, and the nodes have none") == true)
    }
    for partition in [Partition.even, .community] {
      #expect(try partition.split(.nodes(bare), clients: 5, seed: 1).count == 5)
    }
    let error = #expect(throws: DatasetError.self) {
      try Partition.even.split(.nodes(bare), clients: 502, seed: 1)
    }
    #expect(error?.description.contains("1003 nodes are too few for 502 clients of at least 2") == true)
  }

  @Test func imagesHaveNoCommunities() throws {
    #expect(
      try Partition(parsing: "community") == .community && Partition.community.description == "community")
    let images = TestImages.labelled([0, 1, 0, 1], classes: 2)
    let error = #expect(throws: DatasetError.self) {
      try Partition.community.split(.images(images), clients: 2, seed: 1)
    }
    #expect(error?.description.contains("it divides graphs, and images have no edges") == true)
  }
}
