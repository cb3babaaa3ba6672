import Datasets
import Engine
import Federation
import Foundation
import Synchronization
import Wire

/// A client's rows, of which it sends sums for exact steps instead of training on them.
struct LocalRows: Sendable {
  private let rows: FeatureRows
  private let known = Known()

  init(_ rows: FeatureRows) { self.rows = rows }

  var count: Int { rows.count }

  /// What earlier rounds have computed of the rows.
  private final class Known: Sendable {
    /// X Xᵀ, which does not depend on the model.
    private let moments = Mutex<[Double]?>(nil)

    var secondMoments: [Double]? { moments.withLock { $0 } }
    func keep(_ found: [Double]?) { moments.withLock { $0 = found } }
  }

  /// The sums of a round.
  struct Sums {
    /// The values of the update, and the mean over the rows of ½ ‖f(x) - y‖².
    let values: [Float]
    let loss: Float
    var hasDiverged: Bool { !loss.isFinite || !values.allSatisfy(\.isFinite) }
  }

  /// Returns the sums of an assignment; nil if stopped. The caller provides the thread. Throws ``ClientError`` if they
  /// do not fit into the client's memory, and if a layer is gone or cannot be read.
  func sums(
    _ sums: BlockSums, _ stage: Stage, _ assignment: Assignment, _ work: LocalWork,
    _ progress: LocalWork.Progress, note: (ClientEvent) -> Void
  ) throws -> Sums? {
    let bytes = sums.memory(threads: work.threads) + 2 * sums.count * MemoryLayout<Float>.stride
    try work.requireMemory(bytes, assignment.key)
    note(.planned(assignment.key, bytes: bytes))
    let parameters = Storage(stage.model.layout)
    try work.read(stage.model.parts, of: assignment, into: parameters)
    let clock = ContinuousClock()
    var pace = work.configuration.limits.pace(at: clock.now)
    let statistics = RowStatistics(rows, workers: Workers(work.threads), moments: known.secondMoments)
    let (values, loss) = sums.update(statistics, parameters) {
      let limits = work.configuration.limits
      progress.gate.wait(for: pace?.pause(at: clock.now, used: limits.used()) ?? .zero)
      return !progress.isStopped
    }
    guard progress.note(1, of: 1) else { return nil }
    known.keep(statistics.secondMoments)
    let result = Sums(values: values, loss: Float(loss / Double(rows.count)))
    note(.training(assignment.key, step: 1, steps: 1, loss: result.loss))
    return result
  }
}
