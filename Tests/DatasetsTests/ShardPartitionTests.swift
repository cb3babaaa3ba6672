import Datasets
import Engine
import Testing

@Suite struct ShardPartitionTests {
  private let set = TestImages.labelled((0..<2000).map { $0 % 10 }, classes: 10)

  @Test(arguments: [(20, 1), (20, 2), (7, 3), (5, 2), (10, 9), (3, 10), (4, 50)])
  func clientsHaveExactlySoManyClasses(clients: Int, classes: Int) throws {
    let labels = try #require(set.labels)
    let parts = try Partition.shards(classes: classes).split(.images(set), clients: clients, seed: 2)
    #expect(parts.flatMap { $0 }.sorted() == Array(0..<2000))
    for part in parts { #expect(Set(part.map { labels[$0] }).count == min(classes, 10)) }
    // The classes are equal, so that parts of a class differ by their number alone.
    let sizes = parts.map(\.count)
    #expect(sizes.max()! <= 2 * sizes.min()! + 2, "\(sizes)")
    if clients * min(classes, 10) % 10 == 0 { #expect(sizes.max()! - sizes.min()! <= 10, "\(sizes)") }
  }

  /// Classes of very different sizes: the large ones are divided among more clients.
  @Test(arguments: 0..<50)
  func unevenClassesFit(seed: UInt64) throws {
    var random = RandomNumbers(seed, "uneven classes")
    let classes = 2 + random.below(12)
    let counts = (0..<classes).map { _ in 40 + random.below(400) }
    let labels = counts.enumerated().flatMap { [Int](repeating: $0, count: $1) }.shuffled(using: &random)
    let each = 1 + random.below(classes)
    let clients = (classes + each - 1) / each + random.below(20)
    let images = TestImages.labelled(labels, classes: classes)
    let parts = try Partition.shards(classes: each).split(.images(images), clients: clients, seed: seed)
    #expect(parts.flatMap { $0 }.sorted() == Array(labels.indices), "seed \(seed)")
    for part in parts { #expect(Set(part.map { labels[$0] }).count == each, "seed \(seed)") }
    #expect(Set(parts.flatMap { $0 }.map { labels[$0] }).count == classes, "seed \(seed)")
  }

  @Test func aLargeClassIsDividedMore() throws {
    let labels = [Int](repeating: 0, count: 300) + [Int](repeating: 1, count: 100)
    let images = TestImages.labelled(labels, classes: 2)
    let parts = try Partition.shards(classes: 1).split(.images(images), clients: 4, seed: 1)
    #expect(parts.map(\.count) == [100, 100, 100, 100])
  }

  @Test func whatIsImpossibleIsSaid() {
    func message(_ labels: [Int], _ classes: Int, _ each: Int, _ clients: Int) -> String {
      let images = TestImages.labelled(labels, classes: classes)
      let error = #expect(throws: DatasetError.self) {
        try Partition.shards(classes: each).split(.images(images), clients: clients, seed: 1)
      }
      return error?.description ?? ""
    }
    let ten = (0..<2000).map { $0 % 10 }
    #expect(
      message(ten, 10, 2, 4).contains(
        "4 clients of 2 of 10 classes leave classes without a client; at least 5 clients are needed"))
    #expect(message(ten, 10, 1, 1).contains("at least 10 clients"))
    #expect(
      message([0, 0, 0, 0, 1, 1], 2, 2, 3).contains(
        "the classes have too few images for 3 clients of 2 classes"))
  }
}
