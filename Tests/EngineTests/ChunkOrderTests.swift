import Engine
import Synchronization
import Testing

/// The order in which a pass asks for the views of a batch.
@Suite struct ChunkOrderTests {
  /// A source that notes which images are asked for.
  private final class Noted: RowSource, Sendable {
    let count = 24
    private let asked = Mutex<[(view: Int, image: Int)]>([])

    func write(
      view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
    ) {
      asked.withLock { $0.append((view, image)) }
      place.update(repeating: Float(view + 2 * image) / 50, count: 3 * 8 * 8)
    }

    var order: [(view: Int, image: Int)] { asked.withLock { $0 } }
  }

  /// Both views of an image are asked for within two chunks, so that a source decodes it once, with a cache of one
  /// chunk for each worker.
  @Test(arguments: [4, 5, 8, 24]) func theViewsOfAnImageFollowEachOther(chunk: Int) {
    let stage = Stage(
      .layerWise, index: 1, EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 1, heads: 2),
      objective: ObjectiveKind.simclr.configuration(ObjectiveSettings()))
    let trainer = Trainer(
      stage, TrainingOptions(batch: 24, schedule: LearningRateSchedule(rate: 1e-4), chunk: chunk),
      workers: Workers(1))
    Initialisation.random(stage.model, into: trainer.parameters, seed: 1)
    trainer.begin()
    let source = Noted()
    _ = trainer.step(learningRate: 1e-4, Minibatch(source, first: 24))
    let order = source.order
    #expect(order.count == 48 && Set(order.map { 2 * $0.image + $0.view }).count == 48)
    for image in 0..<24 {
      let places = order.indices.filter { order[$0].image == image }
      // If chunks do not divide the batch, a chunk has rows of both views.
      guard 24 % chunk == 0 else { continue }
      #expect(places[1] - places[0] <= 2 * chunk, "image \(image): \(places)")
    }
  }
}
