import Datasets
import Testing

@Suite struct PartitionTests {
  private let set = TestImages.labelled((0..<1003).map { $0 * 7 % 10 }, classes: 10)

  static let partitions: [Partition] = [
    .even, .dirichlet(beta: 0.01), .dirichlet(beta: 0.5), .dirichlet(beta: 100), .sorted(perClient: 1),
    .sorted(perClient: 2), .shards(classes: 10), .quantity(beta: 0.1), .quantity(beta: 10),
    .noise(deviation: 0.1),
  ]

  @Test(arguments: partitions, [1, 7, 40])
  func everyImageGoesToExactlyOneClient(partition: Partition, clients: Int) throws {
    let parts = try partition.split(.images(set), clients: clients, seed: 9)
    #expect(parts.count == clients)
    #expect(parts.flatMap { $0 }.sorted() == Array(0..<1003))
    #expect(parts.allSatisfy { $0.count >= 2 && $0 == $0.sorted() })
  }

  @Test(arguments: partitions)
  func theSeedDecides(partition: Partition) throws {
    let parts = try partition.split(.images(set), clients: 8, seed: 3)
    #expect(try partition.split(.images(set), clients: 8, seed: 3) == parts)
    #expect(try partition.split(.images(set), clients: 8, seed: 4) != parts)
  }

  @Test func evenPartsDifferByOneAtMost() throws {
    let sizes = try Partition.even.split(.images(set), clients: 7, seed: 1).map(\.count)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
  }

  @Test func tooFewImagesAreRejected() throws {
    let few = set.prefix(9)
    for partition in Self.partitions {
      let error = #expect(throws: DatasetError.self) {
        try partition.split(.images(few), clients: 5, seed: 1)
      }
      #expect(error?.description.contains("9 images are too few for 5 clients") == true)
    }
    #expect(try Partition.even.split(.images(few), clients: 4, seed: 1).allSatisfy { $0.count >= 2 })
    #expect(throws: DatasetError.self) { try Partition.even.split(.images(few), clients: 0, seed: 1) }
  }

  @Test func unlabelledImagesCanOnlyBeSplitEvenly() throws {
    let unlabelled = ImageSet(pixels: [UInt8](repeating: 0, count: 100), count: 100, channels: 1, size: 1)
    #expect(try Partition.even.split(.images(unlabelled), clients: 5, seed: 1).count == 5)
    for partition in [Partition.dirichlet(beta: 1), .sorted(perClient: 2)] {
      let error = #expect(throws: DatasetError.self) {
        try partition.split(.images(unlabelled), clients: 5, seed: 1)
      }
      #expect(error?.description.contains("needs labels") == true)
    }
  }

  @Test func parsing() throws {
    #expect(try Partition(parsing: "even") == .even)
    #expect(try Partition(parsing: "dirichlet:0.5") == .dirichlet(beta: 0.5))
    #expect(try Partition(parsing: "shards:2") == .shards(classes: 2))
    #expect(try Partition(parsing: "sorted:2") == .sorted(perClient: 2))
    #expect(try Partition(parsing: "quantity:0.5") == .quantity(beta: 0.5))
    #expect(try Partition(parsing: "noise:0.1") == .noise(deviation: 0.1))
    for example in Partition.examples { #expect(try Partition(parsing: example).description == example) }
    for partition in Self.partitions { #expect(try Partition(parsing: partition.description) == partition) }
    for text in [
      "", "odd", "even:2", "dirichlet", "dirichlet:", "dirichlet:0", "dirichlet:-1", "dirichlet:nan",
      "dirichlet:inf", "shards", "shards:0", "shards:1.5", "sorted", "sorted:0", "quantity", "quantity:0",
      "noise", "noise:-1", "noise:nan",
    ] {
      let error = #expect(throws: DatasetError.self, "\(text)") { try Partition(parsing: text) }
      #expect(error?.description.contains("accepted: even, dirichlet:BETA") == true)
    }
  }
}
