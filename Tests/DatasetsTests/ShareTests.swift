import Datasets
import Testing

@Suite struct ShareTests {
  @Test(arguments: [("0/1", 0, 1), ("3/4", 3, 4), ("9999/10000", 9999, 10_000)])
  func readsItsText(text: String, index: Int, count: Int) {
    let share = Share(parsing: text)
    #expect(share?.index == index && share?.count == count)
    #expect(share?.description == text)
  }

  @Test(arguments: ["", "1", "/", "4/4", "-1/4", "0/0", "0/10001", "1/2/3", "a/2", "1/b", "1 / 2"])
  func rejectsWhatIsNone(text: String) {
    #expect(Share(parsing: text) == nil)
  }

  @Test func namesSortLikeNumbers() {
    #expect((0..<3).map { Share($0, of: 3).name("a") } == ["a-0", "a-1", "a-2"])
    for count in [2, 10, 11, 100, 101, 1001] {
      let names = (0..<count).map { Share($0, of: count).name("client") }
      #expect(names.sorted() == names && Set(names).count == count)
    }
  }

  /// Images are identified by their index: pixel 0 of image i is i.
  @Test(arguments: [Partition.even, .dirichlet(beta: 0.3), .sorted(perClient: 2)], [1, 4, 11])
  func sharesAreThoseOfThePartition(partition: Partition, clients: Int) throws {
    let count = 200
    let set = ImageSet(
      pixels: (0..<count).map { UInt8($0) }, count: count, channels: 1, size: 1,
      labels: (0..<count).map { $0 % 5 }, classes: 5)
    let parts = try partition.split(.images(set), clients: clients, seed: 21)
    var seen: [Int] = []
    for index in 0..<clients {
      let images = try Share(index, of: clients).examples(of: .images(set), by: partition, seed: 21).images
      let places = (0..<images.count).map { place in images.withImage(place) { Int($0.bytes[0]) } }
      #expect(places == parts[index])
      seen += places
    }
    #expect(seen.sorted() == Array(0..<count), "an image is in two shares, or in none")
  }
}
