import Engine
import Testing

@Suite struct CosineDistanceTests {
  @Test(arguments: [1, 2, 3] as [UInt64]) func gradientIsThatOfFiniteDifferences(seed: UInt64) {
    var layout = Layout()
    let loss = CosineDistance(batch: 6, width: 5, in: &layout)
    let (q, k, dq) = (layout.add("q", 6, 5), layout.add("k", 6, 5), layout.add("dq", 6, 5))
    let work = Storage(layout)
    var random = RandomNumbers(seed, "projections")
    work[q].draw(&random)
    work[k].draw(&random)
    _ = loss.loss(work[q], work[k], adding: work[dq], work)
    let gradient = work[dq].array()
    FiniteDifferences(seed: seed).expect([Differentiable("q", work[q], gradient: gradient)]) {
      Double(loss.loss(work[q], work[k], adding: work[dq], work))
    }
  }

  @Test func isNothingBetweenTheSameDirectionsAndFourBetweenOpposites() {
    var layout = Layout()
    let loss = CosineDistance(batch: 3, width: 4, in: &layout)
    let (q, k, dq) = (layout.add("q", 3, 4), layout.add("k", 3, 4), layout.add("dq", 3, 4))
    let work = Storage(layout)
    var random = RandomNumbers(9, "projections")
    work[q].draw(&random)
    for (scale, expected) in [(2 as Float, 0 as Float), (-0.5, 4)] {
      Elementwise.fill(work[k], 0)
      Elementwise.add(work[q], to: work[k], scale: scale)
      #expect(abs(loss.loss(work[q], work[k], adding: work[dq], work) - expected) < 1e-5, "seed 9")
    }
  }
}
