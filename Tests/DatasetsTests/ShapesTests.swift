import Datasets
import Testing

@Suite struct ShapesTests {
  private func bytes(_ set: ImageSet, _ index: Int) -> [UInt8] { set.withImage(index) { Array($0.bytes) } }

  private func generate(
    _ count: Int, size: Int = 32, channels: Int = 3, seed: UInt64 = 5, _ role: DataRole = .train
  ) -> ImageSet {
    Shapes.generate(count: count, size: size, channels: channels, seed: seed, role: role)
  }

  @Test func anImageDoesNotDependOnHowManyThereAre() {
    let (few, many) = (generate(7), generate(40))
    for index in 0..<7 { #expect(bytes(few, index) == bytes(many, index)) }
    #expect(few.labels == many.prefix(7).labels)
  }

  @Test func seedsAndRolesGiveOtherImages() {
    let all = [generate(50), generate(50, seed: 6), generate(50, .test), generate(50, seed: 6, .test)]
    let images = all.flatMap { set in (0..<50).map { bytes(set, $0) } }
    #expect(Set(images).count == 200)
  }

  @Test func everyTenImagesHoldEachClassOnce() throws {
    let labels = try #require(generate(200).labels)
    for start in stride(from: 0, to: 200, by: 10) {
      #expect(labels[start..<start + 10].sorted() == Array(0..<10))
    }
    // The order does not let even or odd indices select a class.
    #expect(Set((0..<20).map { labels[$0 * 10] }).count > 5)
  }

  @Test(arguments: [(8, 1), (28, 1), (33, 3), (96, 3)])
  func anySizeWorks(size: Int, channels: Int) {
    let set = generate(12, size: size, channels: channels)
    #expect(set.imageSize == channels * size * size)
    for index in 0..<12 { #expect(Set(bytes(set, index)).count > 16, "image \(index) is nearly flat") }
  }

  /// The mean colour of a class is that of all images, within chance.
  @Test func coloursDoNotTellTheClass() throws {
    let set = generate(2000, size: 16)
    let labels = try #require(set.labels)
    for channel in 0..<3 {
      let means = (0..<set.count).map { index in
        set.withImage(index) { image in
          image.bytes[channel * 256..<(channel + 1) * 256].reduce(0.0) { $0 + Double($1) } / 256
        }
      }
      let mean = means.reduce(0, +) / 2000
      let deviation = (means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2000).squareRoot()
      for label in 0..<10 {
        let own = zip(means, labels).filter { $0.1 == label }.map(\.0).reduce(0, +) / 200
        // Four standard errors of a mean over 200 images.
        #expect(abs(own - mean) < 4 * deviation / 200.0.squareRoot(), "class \(label), channel \(channel)")
      }
    }
  }

  /// A classifier by the nearest class mean of the pixels stays near chance, 10 %.
  @Test func pixelsAloneDoNotTellTheClass() throws {
    let (train, test) = (generate(2000, size: 16), generate(500, size: 16, .test))
    let (known, wanted) = (try #require(train.labels), try #require(test.labels))
    var means = [[Float]](repeating: [Float](repeating: 0, count: train.imageSize), count: 10)
    var image = [Float](repeating: 0, count: train.imageSize)
    for index in 0..<train.count {
      train.copyImage(index, into: &image)
      for i in image.indices { means[known[index]][i] += image[i] / 200 }
    }
    var right = 0
    for index in 0..<test.count {
      test.copyImage(index, into: &image)
      let distances = means.map { mean in zip(mean, image).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
      if distances[wanted[index]] == distances.min() { right += 1 }
    }
    #expect(right < 125, "\(right) of 500 right")
  }
}
