import Datasets
import Testing

@Suite struct LabelSenseTests {
  private func warnings(_ labels: [Int], _ classes: Int) -> [String] {
    LabelSense.warnings(of: .images(TestImages.labelled(labels, classes: classes)))
  }

  @Test func usualLabelsAreFine() {
    #expect(warnings((0..<100).map { $0 % 10 }, 10) == [])
    // A class without images is none of its business, and 99 of 100 is still allowed.
    #expect(warnings([Int](repeating: 0, count: 98) + [1, 1], 3) == [])
    let bare = ImageSet(pixels: [0, 0], count: 2, channels: 1, size: 1)
    #expect(LabelSense.warnings(of: .images(bare)) == [])
  }

  @Test func oddLabelsAreSaid() {
    #expect(warnings([2, 2, 2], 4) == ["all 3 labelled images have the class '2', so labels say nothing"])
    #expect(warnings([0], 1) == ["there is one image, which nothing can be compared with"])
    #expect(warnings([0, 0, 0, 1, 1, 2], 3) == ["the class '2' has one image, too few to learn from"])
    #expect(
      warnings([0, 0, 1, 2, 3, 4, 5], 6) == [
        "the classes '1', '2', '3' and 2 more have one image each, too few to learn from"
      ])
    let most = warnings([Int](repeating: 1, count: 998) + [0, 0], 2)
    #expect(
      most == ["the class '1' has 99.8 % of the labelled images, so that always predicting it looks good"])
  }
}
