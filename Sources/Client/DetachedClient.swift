import Datasets
import Engine
import Federation
import Foundation
import Wire

/// A client that trains without a connection, in the process that has the global model.
package struct DetachedClient: Sendable {
  package let name: String
  private let plan: Plan
  private let work: LocalWork
  private let cache: LayerCache

  /// - Parameters:
  ///   - cache: keeps the layers of the model; clients may share it.
  ///   - state: the client's folder.
  package init(_ plan: Plan, name: String, data: Dataset, cache: LayerCache, state: URL, threads: Int) {
    (self.plan, self.name, self.cache) = (plan, name, cache)
    // It never connects.
    let nowhere = Endpoint(host: "127.0.0.1", port: 0)
    var configuration = Client.Configuration(server: nowhere, name: name, state: state, threads: threads)
    configuration.sharesProcess = true
    work = LocalWork(
      plan: plan, stages: PlanStages(plan), data: data, validation: nil, cache: cache,
      configuration: configuration)
  }

  /// Trains a round from a model, whose layers the cache keeps instead of all others. Returns the offer and the bytes of
  /// the plain update; nil if the training has diverged. Throws ``ClientError`` and ``DamagedLayer``.
  package func train(
    _ snapshot: Snapshot, _ key: RoundKey, _ place: SchedulePlace
  ) throws -> (offer: UpdateOffer, bytes: Data)? {
    for version in snapshot.manifest where !cache.holds(version) {
      _ = try snapshot.data(version.digest).map { try cache.keep($0, as: version) }
    }
    cache.keepOnly(snapshot.manifest.map(\.digest))
    let kept = plan.keptBlocks(key, client: name)
    let assignment = Assignment(
      key: key, seed: plan.trainingSeed(key, client: name), schedule: place,
      parts: snapshot.manifest(keeping: kept), trained: snapshot.trained(keeping: kept).map(\.name))
    var hasDiverged = false
    let update = try work.run(assignment, LocalWork.Progress()) {
      if case .diverged = $0 { hasDiverged = true }
    }
    return hasDiverged ? nil : update.map { ($0.offer, $0.bytes) }
  }
}
