import Engine
import Testing

@Suite struct PrefixRunnerTests {
  private let views = RandomViews(seed: 92, count: 9)

  private func tokens(to depth: Int, by way: [Int], workers: Int, chunk: Int) -> [Float] {
    let model = Model(TinyViT.encoder, objective: .contrastive(TinyViT.heads), depth: 3)
    let runner = PrefixRunner(model, chunk: chunk, workers: Workers(workers))
    Initialisation.random(model, into: runner.parameters, seed: 93)
    let size = TinyViT.encoder.vit.tokens * TinyViT.encoder.width
    let memory = Storage(0..<9 * size)
    let all = memory.all.start
    var start = PrefixRunner.Start.images
    for stop in way + [depth] {
      runner.run(9, from: start, to: stop) { image, worker, place in
        if start == .images {
          views.write(view: 0, image: image, epoch: 0, worker: worker, into: place)
        } else {
          place.update(from: all + image * size, count: size)
        }
      } write: { image, tokens in
        (all + image * size).update(from: tokens, count: size)
      }
      start = .features(depth: stop)
    }
    return memory.all.array()
  }

  @Test func advancingGivesWhatGoingAllTheWayDoes() {
    let whole = tokens(to: 3, by: [], workers: 1, chunk: 4)
    #expect(tokens(to: 3, by: [1], workers: 1, chunk: 4) == whole)
    #expect(tokens(to: 3, by: [1, 2], workers: 3, chunk: 4) == whole)
    #expect(tokens(to: 2, by: [], workers: 1, chunk: 4) != whole)
  }

  /// A step with the prefix's outputs equals the step that computes them.
  @Test func aTrainerTakesTokensForImages() {
    let stage = TinyViT.stage(.layerWise)
    var results: [(loss: Float, parameters: [Float])] = []
    for givesFeatures in [false, true] {
      let trainer = TinyViT.trainer(stage, TinyViT.options(alignment: 0.2), workers: 2, seed: 94)
      let runner = PrefixRunner(stage.model, chunk: 3, workers: Workers(1))
      runner.parameters.copy(stage.model.layout.range, from: trainer.parameters)
      let size = TinyViT.encoder.vit.tokens * TinyViT.encoder.width
      let memory = Storage(0..<10 * size)
      let all = memory.all.start
      runner.run(10, from: .images, to: 1) { row, worker, place in
        views.write(view: row / 5, image: row % 5, epoch: 0, worker: worker, into: place)
      } write: { row, tokens in
        (all + row * size).update(from: tokens, count: size)
      }
      let rows = GivenRows(givesFeatures: givesFeatures) { view, image, place in
        if givesFeatures {
          place.update(from: all + (view * 5 + image) * size, count: size)
        } else {
          views.write(view: view, image: image, epoch: 0, worker: 0, into: place)
        }
      }
      let loss = trainer.step(on: rows, learningRate: 1e-2)
      results.append((loss, stage.trainedValues(of: trainer.parameters)))
    }
    #expect(abs(results[0].loss - results[1].loss) < 1e-5)
    for (a, b) in zip(results[0].parameters, results[1].parameters) { #expect(abs(a - b) < 1e-3) }
  }
}
