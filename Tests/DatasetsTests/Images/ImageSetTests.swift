import Datasets
import Testing

@Suite struct ImageSetTests {
  /// Image i is four pixels of value i.
  private let set = ImageSet(
    pixels: (0..<10).flatMap { [UInt8](repeating: $0, count: 4) }, count: 10, channels: 1, size: 2,
    labels: (0..<10).map { $0 % 3 }, classes: 3)

  private func value(_ set: ImageSet, _ index: Int) -> Float {
    var image = [Float](repeating: .nan, count: 4)
    image.withUnsafeMutableBufferPointer { _ = set.copyImage(index, into: $0.baseAddress!) }
    #expect(image.allSatisfy { $0 == image[0] })
    return image[0] * 255
  }

  @Test func aSubsetOfASubsetShowsTheRightImagesAndLabels() {
    let some = set.subset([9, 4, 7, 4]).subset([2, 3])
    #expect(some.count == 2)
    #expect([value(some, 0), value(some, 1)] == [7, 4])
    #expect(some.labels == [1, 1])
    #expect(some.classes == 3)
  }

  @Test func aPrefixIsTheFirstImagesOrAll() {
    #expect(set.prefix(3).labels == [0, 1, 2])
    #expect(set.prefix(99).count == 10)
    #expect(set.prefix(0).count == 0)
  }

  @Test func subsetsShareThePixels() {
    let address = set.withImage(6) { UInt(bitPattern: $0.bytes.baseAddress) }
    #expect(set.subset([6]).withImage(0) { UInt(bitPattern: $0.bytes.baseAddress) } == address)
  }

  @Test func bytesBecomeZeroToOne() {
    let ends = ImageSet(pixels: [0, 255], count: 2, channels: 1, size: 1)
    var (black, white): (Float, Float) = (.nan, .nan)
    ends.copyImage(0, into: &black)
    ends.copyImage(1, into: &white)
    #expect(black == 0 && white == 1)
    #expect(ends.labels == nil && ends.classes == 0)
  }

  @Test func classesThatMeanSomethingElseAreReportedInOneLine() throws {
    func named(_ names: [String]) -> ImageSet {
      ImageSet(
        PixelBuffer([1, 2], count: 2, ImageShape(channels: 1, height: 1, width: 1)), labels: [0, 1],
        classes: 2,
        classNames: names)
    }
    try named(["cat", "dog"]).requireClasses(of: named(["cat", "dog"]))
    // Numeric labels have no names to compare.
    try named(["cat", "dog"]).requireClasses(of: set)
    let error = #expect(throws: DatasetError.self) {
      try named(["cat", "cow"]).requireClasses(of: named(["cat", "dog"]))
    }
    #expect(
      error?.description == "the training images' classes (cat, dog) differ from the test images' (cat, cow)")
  }
}
