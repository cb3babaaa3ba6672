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
  let curriculum: any Curriculum

  /// - Parameter folder: the folder of the plan's file.
  init(_ plan: Plan, _ store: Store, _ job: JobRecord, folder: URL) throws {
    let last = try store.lastCommitted(of: job)
    initial = try plan.initialWeights(in: folder, after: last?.stage.number ?? 0, store, job)
    // A finished job needs no more decisions.
    curriculum =
      job.finishedAt == nil
      ? plan.curriculum(with: try plan.controller(in: folder, store, job)) : plan.curriculum
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
    let history = try store.history(of: job)
    let decision = last.round.decision ?? curriculum.next(after: done, history: history)
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
    if let problem = try store.pin(weights.digest, as: .initial, of: job) {
      throw ServerError.initial("\(file): \(problem)")
    }
    return weights
  }

  /// Returns the plan's controller; nil if it has none. `folder` is the folder of the plan's file.
  ///
  /// Throws ``ServerError/controller(_:)`` if the file cannot be used or is not the one that the job began with, and
  /// ``StoreError``.
  func controller(in folder: URL, _ store: Store, _ job: JobRecord) throws -> ControllerFile? {
    guard let (controller, digest, file) = try openController(in: folder) else { return nil }
    if let problem = try store.pin(digest, as: .controller, of: job) {
      throw ServerError.controller("\(file): \(problem)")
    }
    return controller
  }

  /// Opens the files that the plan names, so that errors in them show before a database is created. `folder` is the
  /// folder of the plan's file. Throws ``ServerError``.
  package func checkFiles(in folder: URL) throws(ServerError) {
    _ = try openInitial(in: folder, before: 1)
    _ = try openController(in: folder)
    _ = try Calibrator(self, threads: 1)
  }

  /// Returns the plan's initial weights and the path of their file; nil if the plan has none. `stage` is the next one
  /// to begin.
  private func openInitial(
    in folder: URL, before stage: Int
  ) throws(ServerError) -> (weights: InitialWeights, file: String)? {
    guard let initial else { return nil }
    let file = Self.path(initial, in: folder)
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

  /// Returns the plan's controller, its digest and the path of its file; nil if the plan has none.
  private func openController(
    in folder: URL
  ) throws(ServerError) -> (controller: ControllerFile, digest: Digest, file: String)? {
    guard method.stageEnd.when == .controller, let model = method.stageEnd.model else { return nil }
    let file = Self.path(model, in: folder)
    guard let data = FileManager.default.contents(atPath: file) else {
      throw .controller("\(file): there is no such file, or it cannot be read")
    }
    do {
      let controller = try ControllerFile(parsing: data)
      try controller.check(fits: self)
      return (controller, Digest(of: data), file)
    } catch {
      throw .controller("\(file): \(error)")
    }
  }

  /// Returns the path of a file that a plan names, relative to the folder of the plan's file.
  private static func path(_ file: String, in folder: URL) -> String {
    URL(fileURLWithPath: file, relativeTo: URL(fileURLWithPath: folder.path, isDirectory: true)).path
  }
}
