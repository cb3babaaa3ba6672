import Engine
import Testing

@Suite struct LayerFeaturesTests {
  private static let vit = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 8), width: 4, depth: 3))
  private static let grid = resnet.pooled(grid: 2)
  private let count = 11

  private static func pixels(_ configuration: EncoderConfiguration, _ image: Int) -> [Float] {
    var random = RandomNumbers(271, "image", image)
    return (0..<configuration.input.count).map { _ in random.normal() }
  }

  private struct Features: Equatable {
    var whole: [[Float]] = []
    var pooled: [[Float]] = []
  }

  private func features(
    _ model: Model, _ parameters: borrowing Storage, _ configuration: EncoderConfiguration, threads: Int = 2,
    chunk: Int = 4
  ) -> Features {
    var found = Features()
    LayerFeatures(model, workers: Workers(threads), chunk: chunk).forEachDepth(count, parameters) {
      for (index, value) in Self.pixels(configuration, $0).enumerated() { $1[index] = value }
    } _: { depth, h, t in
      #expect(depth == found.whole.count + 1)
      found.whole.append(h.array())
      found.pooled.append(t.array())
    }
    return found
  }

  private static func model(_ configuration: EncoderConfiguration, depth: Int = 3) -> Model {
    Model(configuration, objective: .contrastive(HeadConfiguration(hidden: 8, output: 4)), depth: depth)
  }

  @Test(arguments: [vit, resnet, grid]) func areThoseOfTheFrozenBlocks(configuration: EncoderConfiguration) {
    let model = Self.model(configuration)
    let runner = PrefixRunner(model, chunk: 3, workers: Workers(2))
    Initialisation.random(model, into: runner.parameters, seed: 5)
    let found = features(model, runner.parameters, configuration)
    for depth in 1...3 {
      let size = model.encoder.featureSize(behind: depth)
      let expected = StorageBoxed(count, size)
      runner.run(count, from: .images, to: depth) { image, _, place in
        for (index, value) in Self.pixels(configuration, image).enumerated() { place[index] = value }
      } write: { image, values in
        expected.matrix.row(image).update(from: values, count: size)
      }
      for (a, b) in zip(found.whole[depth - 1], expected.matrix.array()) { #expect(abs(a - b) < 1e-4) }
      // A pixel mean of a ResNet, whatever the classifier's grid.
      if configuration.family == .resnet {
        let channels = found.pooled[depth - 1].count / count
        let pixels = size / channels
        for place in 0..<count * channels {
          let mean =
            found.whole[depth - 1][place * pixels..<(place + 1) * pixels].reduce(0, +) / Float(pixels)
          #expect(abs(found.pooled[depth - 1][place] - mean) < 1e-5)
        }
      }
    }
    #expect(features(model, runner.parameters, configuration, threads: 3) == found)
  }

  /// The pooled features of the last layer of a transformer are its representations.
  @Test func theLastOfATransformerAreItsRepresentations() {
    let model = Self.model(Self.vit)
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: 6)
    let outputs = Representations.of(count, by: model, parameters, workers: Workers(1)) { image, _, place in
      for (index, value) in Self.pixels(Self.vit, image).enumerated() { place[index] = value }
    }
    let last = features(model, parameters, Self.vit).pooled[2]
    for (a, b) in zip(last, outputs.all.array()) { #expect(abs(a - b) < 1e-4) }
    #expect(last.count == count * 12)
  }

  /// An exit keeps its own normalisation, which its layer's pooled features use.
  @Test func anExitHasItsOwnNormalisation() throws {
    let model = Model(
      Self.vit, objective: .classification(ClassifierConfiguration(classes: 4)), blocks: [0, 1, 2], exits: [1]
    )
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: 7)
    let before = features(model, parameters, Self.vit)
    for entry in model.layout.entries where entry.name == "exits.1.norm.bias" {
      parameters[entry.slot].start[0] += 1
    }
    let after = features(model, parameters, Self.vit)
    #expect(after.whole == before.whole && after.pooled[1...] == before.pooled[1...])
    for row in 0..<count {
      #expect(abs(after.pooled[0][row * 12] - before.pooled[0][row * 12] - 1) < 1e-5)
    }
  }
}
