import Datasets
import Testing

@Suite struct SortedPartitionTests {
  private let set = TestImages.labelled((0..<2000).map { $0 % 10 }, classes: 10)

  @Test(arguments: [1, 2, 5])
  func clientsHaveAtMostSoManyClasses(perClient: Int) throws {
    let labels = try #require(set.labels)
    let parts = try Partition.sorted(perClient: perClient).split(.images(set), clients: 20, seed: 2)
    for part in parts {
      #expect(part.count == 100)
      // 20 clients x K shards divide ten classes of equal size, so no shard spans two.
      #expect(Set(part.map { labels[$0] }).count <= perClient)
    }
  }

  /// Each client has shards. If classes do not fill them, a shard has images of two classes, and two shards may have
  /// the same class.
  @Test func classesThatDoNotFillTheirShardsAreShared() throws {
    // Two classes of 10 and 30 images: the border of the classes is a cut with 4 shards of 10, but not with 3.
    let uneven = TestImages.labelled((0..<40).map { $0 < 10 ? 0 : 1 }, classes: 2)
    let labels = try #require(uneven.labels)
    let parts = try Partition.sorted(perClient: 1).split(.images(uneven), clients: 3, seed: 4)
    #expect(parts.map { Set($0.map { labels[$0] }).count }.sorted() == [1, 1, 2])
    let four = try Partition.sorted(perClient: 2).split(.images(uneven), clients: 2, seed: 4)
    #expect(four.map { Set($0.map { labels[$0] }).count }.sorted() == [1, 2])
  }

  @Test func moreShardsThanImagesAreRejected() {
    let error = #expect(throws: DatasetError.self) {
      try Partition.sorted(perClient: 300).split(.images(set), clients: 10, seed: 1)
    }
    #expect(
      error?.description.contains("2000 images are too few for 300 shards for each of 10 clients") == true)
    #expect(throws: DatasetError.self) {
      try Partition.sorted(perClient: .max).split(.images(set), clients: 10, seed: 1)
    }
  }
}
