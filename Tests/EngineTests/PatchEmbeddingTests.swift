import Engine
import Testing

@Suite struct PatchEmbeddingTests {
  private static func configuration(image: Int, channels: Int, patch: Int, width: Int) -> ViTConfiguration {
    ViTConfiguration(
      images: ImageInput(side: image, channels: channels), patch: patch, width: width, depth: 1, heads: 1)
  }

  /// Images, and the image's side, channels, patch and width.
  @Test(arguments: [[1, 4, 1, 2, 5], [1, 8, 3, 4, 12], [3, 9, 3, 3, 13], [2, 6, 2, 6, 16]])
  func gradients(sizes: [Int]) {
    let images = sizes[0]
    let c = Self.configuration(image: sizes[1], channels: sizes[2], patch: sizes[3], width: sizes[4])
    var (layout, work) = (Layout(), Layout())
    let stem = PatchEmbedding(c, in: &layout)
    let patches = work.add("patches", images * c.patches, c.patchSize)
    let (y, dy) = (work.add("y", images * c.tokens, c.width), work.add("dy", images * c.tokens, c.width))
    let bench = Bench(layout, work: work, seed: 51)
    stem.backward(bench[dy], patches: bench[patches], bench.parameters, bench.gradients)
    bench.expectGradients([]) {
      stem.forward(bench[patches], into: bench[y], bench.parameters)
      return bench[y].inner(bench[dy])
    }
  }

  @Test func patchesAreCutInTheOrderOfAConvolutionsWeight() {
    let c = Self.configuration(image: 6, channels: 2, patch: 3, width: 4)
    var layout = Layout()
    let stem = PatchEmbedding(c, in: &layout)
    let storage = Storage(0..<c.images.count)
    // The decimal digits of a pixel are (channel, row, column).
    let image: [Float] = (0..<c.images.count).map { (i: Int) -> Float in
      let (channel, row, column) = (i / 36, i / 6 % 6, i % 6)
      return Float(100 * channel + 10 * row + column)
    }
    let patches = storage.all.reshaped(c.patches, c.patchSize)
    stem.cut(image, into: patches)
    // The upper right patch: rows 0 to 2, columns 3 to 5, channel by channel.
    #expect(patches.rows(1..<2).array().prefix(9) == [3, 4, 5, 13, 14, 15, 23, 24, 25])
    #expect(patches.rows(2..<3).array().suffix(9) == [130, 131, 132, 140, 141, 142, 150, 151, 152])
    #expect(patches.array().sorted() == image.sorted())
  }

  @Test func theClassTokenStandsInFront() {
    let c = Self.configuration(image: 8, channels: 3, patch: 4, width: 12)
    var (layout, work) = (Layout(), Layout())
    let stem = PatchEmbedding(c, in: &layout)
    let (patches, y) = (work.add("patches", 2 * c.patches, c.patchSize), work.add("y", 2 * c.tokens, c.width))
    let bench = Bench(layout, work: work, seed: 52)
    stem.forward(bench[patches], into: bench[y], bench.parameters)
    let token = bench.parameters[stem.classToken].array()
    let position = bench.parameters[stem.positions].rows(0..<1).array()
    for image in 0..<2 {
      let row = bench[y].rows(image * c.tokens..<image * c.tokens + 1).array()
      #expect(row == zip(token, position).map { $0 + $1 }, "image \(image), seed 52")
    }
  }

  @Test func namesAndShapesAreTimms() {
    var layout = Layout()
    _ = PatchEmbedding(Self.configuration(image: 32, channels: 3, patch: 4, width: 192), in: &layout)
    let shapes = Dictionary(uniqueKeysWithValues: layout.entries.map { ($0.name, $0.shape) })
    #expect(
      shapes == [
        "cls_token": [1, 1, 192], "pos_embed": [1, 65, 192], "patch_embed.proj.weight": [192, 3, 4, 4],
        "patch_embed.proj.bias": [192],
      ])
  }
}
