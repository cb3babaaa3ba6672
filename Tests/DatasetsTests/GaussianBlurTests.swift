import Datasets
import Foundation
import Testing

@Suite struct GaussianBlurTests {
  @Test(arguments: [(3, 0.5), (5, 2), (7, 1.1)] as [(Int, Float)])
  func agreesWithATwoDimensionalKernel(kernel: Int, sigma: Float) {
    let (height, width, reach) = (6, 11, kernel / 2)
    let image = Array(TestImages.random(channels: 1, size: 11, seed: 8).prefix(height * width))
    let got = Augmentation.apply(
      .gaussianBlur(kernel: kernel, sigma: sigma), to: image, channels: 1, height: height, width: width)
    func mirrored(_ i: Int, _ count: Int) -> Int { i < 0 ? -i : i >= count ? 2 * count - 2 - i : i }
    for y in 0..<height {
      for x in 0..<width {
        var (sum, total) = (0.0, 0.0)
        for dy in -reach...reach {
          for dx in -reach...reach {
            let weight = exp(-Double(dx * dx + dy * dy) / (2 * Double(sigma) * Double(sigma)))
            sum += weight * Double(image[mirrored(y + dy, height) * width + mirrored(x + dx, width)])
            total += weight
          }
        }
        #expect(abs(Double(got[y * width + x]) - sum / total) < 1e-6, "pixel \(x), \(y)")
      }
    }
  }
}
