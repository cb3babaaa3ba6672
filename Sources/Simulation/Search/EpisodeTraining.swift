import Client
import Datasets
import Engine
import Federation
import Foundation
import Server

/// A training of a plan that costs little: real clients, one after the other in this process, and the real aggregation,
/// without server, sockets and database. It has no calibration.
final class EpisodeTraining {
  private let plan: Plan
  private let clients: [DetachedClient]
  private let folder: URL
  private let threads: Int
  /// The rounds over which a stage's learning rate schedule extends.
  private let scheduled: Int
  private var snapshot: Snapshot
  /// The number of rounds of each stage so far.
  private(set) var rounds = [0]

  /// Divides the examples among clients, which use `folder`. Throws ``DatasetError`` and ``ClientError``.
  init(
    _ plan: Plan, _ examples: Dataset, clients count: Int, _ partition: Partition, scheduled: Int,
    threads: Int, folder: URL
  ) throws {
    var plan = plan
    plan.method.calibration = nil
    // A search decides how long a stage is.
    plan.method.roundsPerStage = .each(PlanLimits.rounds)
    let parts = try partition.split(examples, clients: count, seed: plan.seed)
    let cache = try LayerCache(folder.appendingPathComponent("layers"))
    clients = parts.enumerated().map { [plan] index, part in
      let name = Experiment.clientName(index, of: count)
      return DetachedClient(
        plan, name: name, data: partition.part(index, of: examples, part, clients: count, seed: plan.seed),
        cache: cache,
        state: folder.appendingPathComponent(name), threads: threads)
    }
    (self.plan, self.scheduled, self.threads, self.folder) = (plan, scheduled, threads, folder)
    snapshot = plan.firstSnapshot()
  }

  /// The number of epochs that each client has trained.
  var epochs: Int { rounds.reduce(0, +) * plan.local.epochs }

  /// Trains a round. Returns the mean loss of the clients' last epochs, weighted as their updates; nil if the training
  /// has diverged. Throws ``ClientError``, ``StoreError``, and ``ControllerSearch/Failure`` if no client has examples to
  /// train on.
  func train() throws -> Double? {
    rounds[rounds.count - 1] += 1
    let round = rounds[rounds.count - 1]
    let key = RoundKey(stage: snapshot.stage.index, round: round)
    var ledger = Ledger(maxSamples: plan.round.maxSamples)
    for client in clients {
      guard let (offer, bytes) = try client.train(snapshot, key, place(of: round)) else { return nil }
      try bytes.write(to: file(client.name))
      ledger.admit(offer, from: client.name)
    }
    guard let loss = ledger.metrics[.lastEpochLoss] else {
      throw ControllerSearch.Failure.setting("no client has examples to train on; give more of them")
    }
    snapshot = try Aggregator(plan: plan, snapshot: snapshot, key: key, ledger: ledger) {
      [folder] client throws(StoreError) in try UpdateFile(Self.file(client, in: folder))
    }.run(threads: threads)
    return loss
  }

  private func file(_ client: String) -> URL { Self.file(client, in: folder) }
  private static func file(_ client: String, in folder: URL) -> URL {
    folder.appendingPathComponent("\(client).update")
  }

  /// A search may train a stage longer than its schedule, which then stays at its end.
  private func place(of round: Int) -> SchedulePlace {
    func place(_ round: Int) -> Float { min(Float(round) / Float(scheduled), 1) }
    return SchedulePlace(from: place(round - 1), to: place(round))
  }

  /// Begins the next stage.
  func grow() {
    snapshot = plan.grow(snapshot)
    rounds.append(0)
  }
}
