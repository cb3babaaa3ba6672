import Engine
import Foundation
import Testing

@Suite struct CollapseMonitorsTests {
  private final class Batch {
    let storage: Storage
    let z, r: Slot

    init(_ seed: UInt64, batch: Int, width: Int, noise: Float, directions: Int, common: Float = 0) {
      var layout = Layout()
      z = layout.add("z", 2 * batch, width)
      r = layout.add("r", 2 * batch, width)
      storage = Storage(layout)
      var random = RandomNumbers(seed, "batch")
      for image in 0..<batch {
        for column in 0..<width {
          let value = column < directions ? random.normal() : 0
          for row in [image, batch + image] {
            storage[z][row, column] = value + noise * random.normal() + common
            storage[r][row, column] = value + common
          }
        }
      }
    }

    var monitors: CollapseMonitors? {
      CollapseMonitors(projections: storage[z], representations: storage[r])
    }
  }

  @Test func aSphereThatIsCoveredEvenly() throws {
    let monitors = try #require(
      Batch(1, batch: 400, width: 16, noise: 0, directions: 16).monitors, "seed 1")
    #expect(monitors.alignment < 1e-5)
    #expect(abs(monitors.deviation - 1) < 0.02, "seed 1")
    #expect(monitors.effectiveRank > 15.5 && monitors.effectiveRank <= 16.001, "seed 1")
    // For 16 dimensions and uniform directions E exp(-2 d²) = e^-4 E e^{4 cos}, about e^-4 · e^{8/16}.
    #expect(abs(monitors.uniformity + 3.5) < 0.1, "seed 1")
    #expect(!monitors.isCollapsed)
  }

  @Test func directionsThatAreMissing() throws {
    let monitors = try #require(Batch(2, batch: 200, width: 16, noise: 0.5, directions: 3).monitors)
    #expect(abs(monitors.effectiveRank - 3) < 0.1, "seed 2")
    #expect(monitors.alignment > 0.2, "seed 2")
  }

  @Test func whatHasCollapsed() throws {
    let same = try #require(
      Batch(3, batch: 50, width: 16, noise: 0, directions: 16, common: 1e4).monitors)
    #expect(abs(same.uniformity) < 1e-3 && same.deviation < 1e-2 && same.isCollapsed, "seed 3")
    let line = try #require(Batch(4, batch: 50, width: 16, noise: 0, directions: 1).monitors)
    #expect(abs(line.effectiveRank - 1) < 1e-3 && line.isCollapsed, "seed 4")
  }

  /// The literal definitions, in Double.
  @Test func isWhatThePapersDefine() throws {
    let batch = Batch(5, batch: 9, width: 5, noise: 0.7, directions: 5)
    let monitors = try #require(batch.monitors)
    let rows = (0..<18).map { row -> [Double] in
      let values = (0..<5).map { Double(batch.storage[batch.z][row, $0]) }
      let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return values.map { $0 / length }
    }
    func distance(_ a: Int, _ b: Int) -> Double {
      zip(rows[a], rows[b]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    let alignment = (0..<9).reduce(0.0) { $0 + distance($1, $1 + 9) } / 9
    var (sum, pairs) = (0.0, 0.0)
    for a in 0..<9 {
      for b in 0..<a {
        sum += exp(-2 * distance(a, b))
        pairs += 1
      }
    }
    #expect(abs(Double(monitors.alignment) - alignment) < 1e-5, "seed 5")
    #expect(abs(Double(monitors.uniformity) - log(sum / pairs)) < 1e-5, "seed 5")
  }

  @Test func whatIsNotANumberHasNoMonitors() {
    let batch = Batch(6, batch: 8, width: 4, noise: 0.1, directions: 4)
    batch.storage[batch.r][3, 2] = .nan
    #expect(batch.monitors == nil)
  }

  @Test func aTrainerTellsThoseOfItsLastBatch() throws {
    let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), TinyViT.options(batch: 9), seed: 7)
    _ = trainer.step(on: RandomViews(seed: 8, count: 9))
    let monitors = try #require(trainer.monitors)
    #expect(monitors.effectiveRank > 1 && monitors.effectiveRank < 18 && monitors.uniformity < 0)
  }
}
