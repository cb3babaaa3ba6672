import Engine
import Federation
import Foundation

/// The state of a job when a server starts: the model and the round to begin.
struct Opening {
  let snapshot: Snapshot
  let key: RoundKey
  /// The last committed round; nil if there is none.
  let after: RoundKey?
  let isFinished: Bool
  /// The initial weights of parts in later stages.
  let initial: InitialWeights?

  /// - Parameter folder: the folder of the plan's file.
  init(_ plan: Plan, _ store: Store, _ job: JobRecord, folder: URL) throws {
    let last = try store.lastCommitted(of: job)
    initial = try plan.initialWeights(in: folder, after: last?.stage.number ?? 0, store, job)
    guard let last else {
      snapshot = plan.firstSnapshot(from: initial)
      (key, after, isFinished) = (RoundKey(stage: 1, round: 1), nil, false)
      return
    }
    let done = RoundKey(stage: last.stage.number, round: last.round.number, attempt: last.round.attempt)
    guard let committed = plan.snapshot(stage: done.stage, last.parts) else {
      throw ServerError.inconsistentStore("the layers of \(done) do not match the plan")
    }
    after = done
    // A cascade may have finished the job before its last stage.
    guard job.finishedAt == nil else {
      (snapshot, key, isFinished) = (committed, done, true)
      return
    }
    // An older version has not stored the decision and used only the number of rounds.
    let history = try store.history(of: last.stage)
    let decision =
      last.round.decision ?? plan.curriculum.next(after: done, history: history)
    guard let next = plan.round(after: done, decision) else {
      (snapshot, key, isFinished) = (committed, done, true)
      return
    }
    snapshot = next.stage > done.stage ? plan.grow(committed, from: initial) : committed
    (key, isFinished) = (next, false)
  }
}

extension Plan {
  /// Returns the initial weights of the stages after `stage`, the last one with a committed round; nil if the plan has
  /// no file, or no stage is left. `folder` is the folder of the plan's file.
  ///
  /// Throws ``ServerError/initial(_:)`` if the file cannot be used or is not the one that the job began with, and
  /// ``StoreError``.
  func initialWeights(
    in folder: URL, after stage: Int, _ store: Store, _ job: JobRecord
  ) throws -> InitialWeights? {
    guard stage < stages, let (weights, file) = try openInitial(in: folder, before: stage + 1) else {
      return nil
    }
    let noted = try store.noteInitial(weights.digest, of: job)
    guard noted == weights.digest else {
      throw ServerError.initial(
        "\(file): it is not the file that the job began with (SHA-256 \(weights.digest) instead of \(noted))"
      )
    }
    return weights
  }

  /// Opens the files that the plan names, so that errors in them show before a database is created. `folder` is the
  /// folder of the plan's file. Throws ``ServerError``.
  package func checkFiles(in folder: URL) throws(ServerError) {
    _ = try openInitial(in: folder, before: 1)
    _ = try Calibrator(self, threads: 1)
  }

  /// Returns the plan's initial weights and the path of their file; nil if the plan has none. `stage` is the next one
  /// to begin.
  private func openInitial(
    in folder: URL, before stage: Int
  ) throws(ServerError) -> (weights: InitialWeights, file: String)? {
    guard let initial else { return nil }
    let base = URL(fileURLWithPath: folder.path, isDirectory: true)
    let file = URL(fileURLWithPath: initial, relativeTo: base).path
    guard let data = FileManager.default.contents(atPath: file) else {
      throw .initial(
        "\(file): there is no such file, or it cannot be read; stage \(stage) starts from it")
    }
    do {
      return (try InitialWeights(parsing: data, for: encoder), file)
    } catch {
      throw .initial("\(file): \(error)")
    }
  }
}
