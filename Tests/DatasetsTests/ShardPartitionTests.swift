import Datasets
import Testing

@Suite struct ShardPartitionTests {
  private let set = TestImages.labelled((0..<2000).map { $0 % 10 }, classes: 10)

  @Test(arguments: [1, 2, 5])
  func clientsHaveAtMostSoManyClasses(perClient: Int) throws {
    let labels = try #require(set.labels)
    let parts = try Partition.shards(classesPerClient: perClient).split(set, clients: 20, seed: 2)
    for part in parts {
      #expect(part.count == 100)
      // 20 clients x K shards divide ten classes of equal size, so no shard spans two.
      #expect(Set(part.map { labels[$0] }).count <= perClient)
    }
  }

  @Test func moreShardsThanImagesAreRefused() {
    let error = #expect(throws: DatasetError.self) {
      try Partition.shards(classesPerClient: 300).split(set, clients: 10, seed: 1)
    }
    #expect(error?.description.contains("2000 images do not make 300 shards for each of 10 clients") == true)
    #expect(throws: DatasetError.self) {
      try Partition.shards(classesPerClient: .max).split(set, clients: 10, seed: 1)
    }
  }
}
