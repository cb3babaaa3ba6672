import Engine
import Testing

@Suite struct HeadTests {
  /// Rows, widths, bias.
  static let sizes = [
    (3, [5, 4], false), (6, [7, 9, 5], false), (9, [12, 20, 20, 10], false), (8, [7, 9, 5], true),
    (5, [12, 17, 17, 3], true),
  ]

  /// A bias before a batch normalisation has no effect, so its gradient is mathematically zero.
  @Test(arguments: sizes) func gradients(rows: Int, widths: [Int], bias: Bool) {
    let f = HeadBench(rows: rows, widths: widths, bias: bias, seed: 71)
    f.forward()
    f.backward()
    let vanishing = Set(f.head.linears.indices.map { "h.\(3 * $0).bias" })
    f.bench.expectGradients(
      [Differentiable("x", f.x, gradient: f.dx.array())], vanishing: vanishing, of: f.value)
  }

  @Test func isNumberedAsASequential() {
    var layout = Layout()
    _ = ProjectionHead("projector", widths: [12, 20, 20, 10], bias: true, in: &layout)
    let numbers = [0, 1, 3, 4, 6]
    #expect(
      layout.entries.map(\.name)
        == numbers.flatMap { ["projector.\($0).weight", "projector.\($0).bias"] })
  }

  /// The paper's communication figures require biases: 758,784 parameters for both heads.
  @Test func parameterCounts() {
    var layout = Layout()
    _ = ProjectionHead("projector", widths: [192, 512, 512, 256], bias: true, in: &layout)
    // Three weights, three biases, weight and bias of two normalisations.
    let projector = 192 * 512 + 512 * 512 + 512 * 256 + (512 + 512 + 256) + 4 * 512
    #expect(projector == 494_848 && layout.count == projector)
    _ = ProjectionHead("predictor", widths: [256, 512, 256], bias: true, in: &layout)
    #expect(layout.count == 758_784)
    var bare = Layout()
    _ = ProjectionHead("projector", widths: [192, 512, 512, 256], bias: false, in: &bare)
    #expect(bare.count == projector - (512 + 512 + 256))
  }
}
