import Datasets
import Testing

@Suite struct QuantityPartitionTests {
  private let bare = ImageSet(
    pixels: [UInt8](repeating: 0, count: 1000), count: 1000, channels: 1, size: 1)

  @Test func sizesDifferAndLabelsAreNotNeeded() throws {
    let even = try Partition.quantity(beta: 1000).split(.images(bare), clients: 10, seed: 3).map(\.count)
    let uneven = try Partition.quantity(beta: 0.2).split(.images(bare), clients: 10, seed: 3).map(\.count)
    #expect(even.max()! < 2 * even.min()!, "\(even)")
    #expect(uneven.max()! > 10 * uneven.min()!, "\(uneven)")
    #expect(even.reduce(0, +) == 1000 && uneven.reduce(0, +) == 1000)
    #expect(uneven.min()! >= 2)
  }

  /// The classes of a client are those of all images, up to chance.
  @Test func classesStayMixed() throws {
    let set = TestImages.labelled((0..<4000).map { $0 % 4 }, classes: 4)
    let labels = try #require(set.labels)
    for part in try Partition.quantity(beta: 1).split(.images(set), clients: 4, seed: 5)
    where part.count > 400 {
      for label in 0..<4 {
        let share = Double(part.count { labels[$0] == label }) / Double(part.count)
        #expect(abs(share - 0.25) < 0.1)
      }
    }
  }
}
