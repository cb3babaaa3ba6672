import Datasets
import Testing

/// The labels of images by the classes of a job.
@Suite struct ClassListTests {
  private func images(_ labels: [Int]?, classes: Int = 0, names: [String]? = nil) -> ImageSet {
    let count = labels?.count ?? 3
    let pixels = PixelBuffer(
      Array(repeating: 1, count: 4 * count), count: count, ImageShape(channels: 1, height: 2, width: 2))
    return ImageSet(pixels, labels: labels, classes: classes, classNames: names)
  }

  private func rejection(_ images: ImageSet, _ job: ClassList) -> String? {
    do throws(DatasetError) {
      _ = try images.labelled(by: job)
      return nil
    } catch { return error.description }
  }

  @Test func namesAreMatched() throws {
    let own = images([0, 1, 1], classes: 2, names: ["stop", "yield"])
    let set = try own.labelled(by: .names(["yield", "priority", "stop"]))
    #expect(set.labels == [2, 0, 0] && set.classes == 3 && set.classNames == ["yield", "priority", "stop"])
    #expect(try set.labelled(by: .names(["yield", "priority", "stop"])).labels == [2, 0, 0])
    #expect(try set.subset([0]).labelled(by: .names(["stop", "yield"])).labels == [0])
  }

  @Test func otherNamesAreRejectedWithBothLists() {
    let own = images([0, 1, 1], classes: 2, names: ["stop", "yeld"])
    #expect(
      rejection(own, .names(["stop", "yield"]))
        == "the images' classes (stop, yeld) are not those of the job (stop, yield)")
  }

  @Test func aNameWithoutImagesDoesNotMatter() throws {
    let own = images([0, 0], classes: 2, names: ["stop", "unsorted"])
    #expect(try own.labelled(by: .names(["give way", "stop"])).labels == [1, 1])
  }

  @Test func numbersAreIndices() throws {
    #expect(try images([0, 4], classes: 5).labelled(by: .count(10)).labels == [0, 4])
    #expect(
      try images([0, 1], classes: 2).labelled(by: .names(["a", "b", "c"])).classNames == ["a", "b", "c"])
    #expect(
      rejection(images([0, 4], classes: 5), .count(4))
        == "the images' classes (5 without names: 0 to 4) are not those of the job (4 without names: 0 to 3)")
  }

  /// A folder that lacks a class would count the others from 0.
  @Test func namesDoNotFitAnotherNumber() throws {
    let own = images([0, 1], classes: 2, names: ["a", "b"])
    #expect(try own.labelled(by: .count(2)).labels == [0, 1])
    #expect(rejection(own, .count(3))?.contains("(a, b)") == true)
  }

  @Test func imagesWithoutLabelsAreRejected() {
    #expect(rejection(images(nil), .count(3)) == "a classification needs labels, and the data have none")
  }
}
