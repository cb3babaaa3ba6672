import Datasets
import Engine
import Testing

@Suite struct CropSamplerTests {
  @Test func cropsStayInTheImageAndInTheirBounds() {
    let seed: UInt64 = 77
    var random = RandomNumbers(seed)
    let sampler = CropSampler(area: 0.2...1, ratio: 0.75...4 / 3)
    var sum: Float = 0
    for draw in 0..<5000 {
      let crop = sampler.draw(height: 32, width: 32, &random)
      #expect(crop.top >= 0 && crop.left >= 0 && crop.height >= 1 && crop.width >= 1)
      #expect(crop.top + crop.height <= 32 && crop.left + crop.width <= 32, "seed \(seed), draw \(draw)")
      let (area, ratio) = (
        Float(crop.height * crop.width) / 1024, Float(crop.width) / Float(crop.height)
      )
      // Sides are whole pixels, so both bounds hold up to half a pixel per side.
      #expect(area > 0.17 && area <= 1 && ratio > 0.68 && ratio < 1.48, "seed \(seed), draw \(draw)")
      sum += area
    }
    // Large crops of an extreme ratio do not fit and are drawn again, so the mean is below 0.6.
    let mean = sum / 5000
    #expect(mean > 0.52 && mean < 0.6, "seed \(seed): mean area \(mean)")
  }

  @Test func whatNeverFitsFallsBackToTheCentre() {
    var random = RandomNumbers(1)
    let wide = CropSampler(area: 1...1, ratio: 2...3).draw(height: 30, width: 30, &random)
    #expect(wide == Crop(top: 7, left: 0, height: 15, width: 30))
    let tall = CropSampler(area: 1...1, ratio: 0.25...0.5).draw(height: 30, width: 30, &random)
    #expect(tall == Crop(top: 0, left: 7, height: 30, width: 15))
  }
}
