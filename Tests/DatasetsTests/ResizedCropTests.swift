import Datasets
import Testing

@Suite struct ResizedCropTests {
  private func crop(
    _ image: [Float], _ size: Int, top: Int = 0, left: Int = 0, height: Int, width: Int, to output: Int
  ) -> [Float] {
    Augmentation.apply(
      .resizedCrop(top: top, left: left, height: height, width: width, size: output), to: image, channels: 3,
      height: size, width: size)
  }

  @Test func theWholeImageAtItsOwnSizeIsUnchanged() {
    let image = TestImages.random(channels: 3, size: 13, seed: 1)
    #expect(crop(image, 13, height: 13, width: 13, to: 13) == image)
  }

  /// Resizes every side up to 33 to every side up to 33, to check the bounds of all weight tables.
  @Test func aConstantStaysConstantAtAllScales() {
    let image = [Float](repeating: 0.375, count: 3 * 33 * 33)
    for side in 1...33 {
      for output in 1...33 {
        let got = crop(image, 33, top: 33 - side, height: side, width: 34 - side, to: output)
        #expect(got.allSatisfy { abs($0 - 0.375) < 1e-6 }, "from \(side) to \(output)")
      }
    }
  }

  /// Halving an image averages pixels with a triangle of 1, 3, 3, 1 eighths, except at the edges.
  @Test func halvingUsesTheTriangle() {
    let squares: [Float] = [0, 1, 4, 9, 16, 25, 36, 49]
    let image = [[Float]](repeating: squares, count: 3 * 8).flatMap { $0 }
    let got = crop(image, 8, height: 8, width: 8, to: 4)
    let expected = (squares[1] + 3 * squares[2] + 3 * squares[3] + squares[4]) / 8
    #expect(abs(got[1] - expected) < 1e-6)
  }
}
