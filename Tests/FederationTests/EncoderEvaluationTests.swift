import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct EncoderEvaluationTests {
  private static let vit = EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 2, heads: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 2))

  private func checkpoint(_ encoder: EncoderConfiguration) -> EncoderCheckpoint {
    let stage = Stage(
      .endToEnd, index: 1, encoder,
      objective: .contrastive(HeadConfiguration(hidden: 8, output: 4)))
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 3)
    return EncoderCheckpoint(Snapshot(stage, parameters), AugmentationSettings())
  }

  private func evaluation(epochs: Int, seed: UInt64 = 1, threads: Int = 1) throws -> EncoderEvaluation {
    try EncoderEvaluation(
      train: DataSpec(parsing: "shapes:60").dataset(role: .train, for: .images(ImageInput(side: 16))),
      test: DataSpec(parsing: "shapes:50").dataset(role: .test, for: .images(ImageInput(side: 16))),
      fineTuningEpochs: epochs, seed: seed, threads: threads)
  }

  @Test(arguments: [vit, resnet]) func threadsDoNotChangeAFigure(encoder: EncoderConfiguration) throws {
    let checkpoint = checkpoint(encoder)
    let figures = try [1, 2, 3].map {
      try evaluation(epochs: 3, threads: $0).accuracies(of: checkpoint)
    }
    #expect(figures[1] == figures[0] && figures[2] == figures[0])
    #expect(figures[0].fineTuned != nil)
  }

  @Test func fineTuningIsDoneWhereItIsAskedFor() throws {
    let checkpoint = checkpoint(Self.vit)
    var steps: [Int] = []
    let without = try evaluation(epochs: 0).accuracies(
      of: checkpoint, progress: { step, _ in steps.append(step) })
    #expect(without.fineTuned == nil && steps.isEmpty)
    let with = try evaluation(epochs: 2).accuracies(
      of: checkpoint,
      progress: { step, all in
        #expect(all == 2)
        steps.append(step)
      })
    #expect(with.fineTuned != nil && steps == [1, 2])
    #expect(with.linearProbe == without.linearProbe)
    #expect(with.nearestNeighbours == without.nearestNeighbours)
  }

  @Test func imagesWithoutLabelsCannotEvaluate() throws {
    let images = ImageSet(pixels: .init(repeating: 0, count: 3 * 16 * 16), count: 1, channels: 3, size: 16)
    let labelled = try DataSpec(parsing: "shapes:4").dataset(role: .train, for: .images(ImageInput(side: 16)))
    let rejection = DatasetError.unlabelled(for: "an evaluation")
    #expect(throws: rejection) {
      try EncoderEvaluation(train: .images(images), test: labelled, seed: 1, threads: 1)
    }
    #expect(throws: rejection) {
      try EncoderEvaluation(train: labelled, test: .images(images), seed: 1, threads: 1)
    }
  }
}
