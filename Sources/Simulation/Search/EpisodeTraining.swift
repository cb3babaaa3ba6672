import Datasets
import Engine
import Federation
import Foundation

/// A training of a plan that costs little: its clients train one after the other in this process, and their updates
/// become a weighted mean, without server, sockets and files.
///
/// It starts from new weights. It has no calibration and no depth dropout, and its views are drawn anew in each epoch.
struct EpisodeTraining {
  private let plan: Plan
  private let clients: [(name: String, images: ImageSet)]
  private let augmenter: Augmenter
  private let workers: Workers
  /// The rounds over which a stage's learning rate schedule extends.
  private let scheduled: Int
  private var snapshot: Snapshot
  /// The number of rounds of each stage so far.
  private(set) var rounds = [0]

  /// Divides the images among clients. Throws ``DatasetError``.
  init(
    _ plan: Plan, _ images: ImageSet, clients: Int, _ partition: Partition, scheduled: Int, workers: Workers
  ) throws(DatasetError) {
    var plan = plan
    (plan.method.activeBlocks, plan.method.calibration) = (0, nil)
    let parts = try partition.split(images, clients: clients, seed: plan.seed)
    self.clients = parts.enumerated().map {
      (Experiment.clientName($0.offset, of: clients), images.subset($0.element))
    }
    (self.plan, self.scheduled, self.workers) = (plan, scheduled, workers)
    augmenter = Augmenter(plan.augmentation, for: plan.encoder)
    snapshot = plan.firstSnapshot()
  }

  /// The number of epochs that each client has trained.
  var epochs: Int { rounds.reduce(0, +) * plan.local.epochs }

  /// Trains a round. Returns the mean loss of the clients' last epochs, weighted by their images; not finite if the
  /// training has diverged.
  mutating func train() -> Double {
    rounds[rounds.count - 1] += 1
    let (stage, round) = (snapshot.stage, rounds[rounds.count - 1])
    let key = RoundKey(stage: stage.index, round: round)
    let total = clients.reduce(0) { $0 + $1.images.count }
    var (mean, loss) = (WeightedMean(count: stage.count, samples: total), 0.0)
    for (name, images) in clients {
      let trainer = Trainer(
        stage, plan.trainingOptions(place(of: round), stage: stage.index, images: images.count),
        workers: workers)
      snapshot.write(into: trainer.parameters)
      trainer.begin()
      let seed = plan.trainingSeed(key, client: name)
      let views = AugmentedViews(images, augmenter, seed: seed, workers: workers.count)
      let summary = trainer.train(views, seed: seed) { _, _, loss in loss.isFinite }
      if trainer.hasDiverged { return .nan }
      stage.trainedValues(of: trainer.parameters).withUnsafeBufferPointer {
        mean.fold($0, samples: images.count)
      }
      loss += Double(images.count) / Double(total) * Double(summary.lastLoss)
    }
    let values = mean.finish().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    snapshot = snapshot.replacing(trained: values)
    return loss
  }

  /// A search may train a stage longer than its schedule, which then stays at its end.
  private func place(of round: Int) -> SchedulePlace {
    func place(_ round: Int) -> Float { min(Float(round) / Float(scheduled), 1) }
    return SchedulePlace(from: place(round - 1), to: place(round))
  }

  /// Begins the next stage.
  mutating func grow() {
    snapshot = plan.grow(snapshot)
    rounds.append(0)
  }
}
