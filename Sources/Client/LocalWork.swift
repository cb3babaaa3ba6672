import Datasets
import Engine
import Federation
import Foundation
import Support
import Synchronization
import Wire

/// A client's training in one round, from the layers in its cache to the bytes of its update.
struct LocalWork: Sendable {
  let plan: Plan
  let stages: PlanStages
  let validation: ModelValidation?
  let cache: LayerCache
  let configuration: Client.Configuration
  private let examples: Examples

  /// The client's examples, by what its trainings make of them.
  private enum Examples {
    case trained(any LocalExamples)
    case summed(LocalRows)

    /// The number of nodes of the client's graph; nil for other examples.
    var graphNodes: Int? { if case .trained(let examples) = self { examples.graphNodes } else { nil } }
  }

  init(
    plan: Plan, stages: PlanStages, data: Dataset, validation: ModelValidation?, cache: LayerCache,
    configuration: Client.Configuration
  ) {
    (self.plan, self.stages, self.cache) = (plan, stages, cache)
    (self.validation, self.configuration) = (validation, configuration)
    switch data {
    case .images(let images): examples = .trained(LocalImages(images))
    case .nodes(let nodes): examples = .trained(LocalNodes(nodes, plan))
    case .rows(let rows): examples = .summed(LocalRows(rows))
    }
  }

  /// The result of a training: the offer and the bytes it describes.
  struct Update: Sendable {
    let offer: UpdateOffer
    let bytes: Data
  }

  /// The progress of a training, and whether it has been stopped.
  final class Progress: Sendable {
    /// Pauses the training for the resource limits.
    let gate = PauseGate()
    private let state = Mutex((step: 0, steps: 0, isStopped: false))

    var steps: (step: Int, of: Int) { state.withLock { ($0.step, $0.steps) } }
    var isStopped: Bool { state.withLock { $0.isStopped } }

    func stop() {
      state.withLock { $0.isStopped = true }
      gate.release()
    }

    /// Records a step. Returns whether to continue.
    func note(_ step: Int, of steps: Int) -> Bool {
      state.withLock {
        ($0.step, $0.steps) = (step, steps)
        return !$0.isStopped
      }
    }
  }

  /// Trains as assigned; returns nil if stopped. The caller provides the thread.
  func run(_ assignment: Assignment, _ progress: Progress, note: (ClientEvent) -> Void) throws -> Update? {
    progress.gate.wait()
    guard !progress.isStopped else { return nil }
    // New threads inherit the niceness. A failure here was reported at the start.
    if let niceness = configuration.limits.niceness { try? Niceness.raise(to: niceness) }
    let stage = try stage(of: assignment)
    let clock = ContinuousClock()
    let start = clock.now
    let selected: (any SelectedExamples)?
    switch (examples, stage.updateContent(round: assignment.key.round)) {
    case (.trained(let examples), .parameters):
      selected = try examples.select(stage, assignment, self, progress, note: note)
    case (.summed(let rows), .sums(let content)):
      guard let sums = try rows.sums(content, stage, assignment, self, progress, note: note) else {
        return nil
      }
      return update(sums, samples: rows.count, assignment, seconds: (clock.now - start).seconds, note: note)
    case (.trained, .sums), (.summed, .parameters):
      preconditionFailure("\(assignment.key) on other data than the plan's")
    }
    guard let examples = selected else { return nil }
    guard !examples.isExhausted else {
      return Update(
        offer: UpdateOffer(emptyFor: assignment.key, base: Snapshot.base(of: assignment.parts)),
        bytes: Data())
    }
    let options = try options(stage, assignment, examples: examples.count)
    note(.planned(assignment.key, bytes: MemoryPlan(stage, options, workers: threads).bytes))
    // Runs before the trainer exists: filling a cache of views takes less memory than a trainer, and not on top of it.
    let rows = try examples.rows(stage, assignment, self, options)
    let result = try train(stage, options, assignment, on: rows, progress, note: note)
    guard let result else { return nil }
    let samples = try examples.check(rows)
    if result.hasDiverged {
      note(.diverged(assignment.key, step: result.last.step, steps: result.last.steps))
    }
    // A diverged update is sent plain: no codec represents such numbers, and error feedback must not keep them.
    let codec = result.hasDiverged ? nil : assignment.codec
    let bytes = try encode(result.values, base: result.base, stage, assignment, codec ?? .plain)
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: samples, steps: result.summary.steps, loss: result.summary.loss,
      seconds: (clock.now - start).seconds,
      metrics: result.metrics, codec: codec)
    return Update(offer: offer, bytes: bytes)
  }

  /// Returns the update of a round of sums.
  private func update(
    _ sums: LocalRows.Sums, samples: Int, _ assignment: Assignment, seconds: Double,
    note: (ClientEvent) -> Void
  ) -> Update {
    if sums.hasDiverged { note(.diverged(assignment.key, step: 1, steps: 1)) }
    let bytes = coding(nil, assignment.key).encode(sums.values, base: sums.values, seed: 0)
    return Update(
      offer: UpdateOffer(
        key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
        bytes: bytes.count, samples: samples, steps: 1, loss: sums.loss, seconds: seconds), bytes: bytes)
  }

  /// The results of a trainer.
  private struct Trained {
    /// The trained values after training and, if the update is a difference, before it.
    let values, base: [Float]
    let summary: TrainingSummary
    /// By name (``Metric``).
    let metrics: [String: Float]
    let last: (step: Int, steps: Int, loss: Float)
    /// Whether the numbers are not finite, or far too large.
    let hasDiverged: Bool
  }

  /// Trains; returns nil if stopped. Frees the trainer on return, because coding an update takes memory, too.
  private func train(
    _ stage: Stage, _ options: TrainingOptions, _ assignment: Assignment, on rows: any RowSource,
    _ progress: Progress, note: (ClientEvent) -> Void
  ) throws -> Trained? {
    let clock = ContinuousClock()
    var pace = configuration.limits.pace(at: clock.now)
    let trainer = Trainer(stage, options, workers: Workers(threads))
    try read(stage.model.parts, of: assignment, into: trainer.parameters)
    // Copied before training, because the files may be gone afterwards.
    let base = assignment.codec == nil ? [] : stage.trainedValues(of: trainer.parameters)
    trainer.begin()
    var last: (step: Int, steps: Int, loss: Float) = (0, 0, 0)
    let summary = trainer.train(rows, seed: assignment.seed) { step, steps, loss in
      last = (step, steps, loss)
      note(.training(assignment.key, step: step, steps: steps, loss: loss))
      let goesOn = progress.note(step, of: steps)
      progress.gate.wait(for: pace?.pause(at: clock.now, used: configuration.limits.used()) ?? .zero)
      // Further steps are useless once the loss is not finite.
      return goesOn && !progress.isStopped && loss.isFinite
    }
    guard !progress.isStopped else { return nil }
    var metrics = trainer.metrics
    if summary.lastLoss.isFinite { metrics[Metric.lastEpochLoss.name] = summary.lastLoss }
    return Trained(
      values: stage.trainedValues(of: trainer.parameters), base: base, summary: summary,
      metrics: metrics, last: last, hasDiverged: !last.loss.isFinite || trainer.hasDiverged)
  }

  /// Returns the coded bytes of the update.
  private func encode(
    _ values: [Float], base: [Float], _ stage: Stage, _ assignment: Assignment, _ codec: UpdateCodec
  ) throws -> Data {
    let coding = coding(codec, assignment.key)
    guard codec != .plain else { return coding.encode(values, base: values, seed: 0) }
    guard codec == .topK else { return coding.encode(values, base: base, seed: assignment.seed) }
    let feedback = ErrorFeedback(configuration.state)
    let leftOut = feedback.load(stage: stage.index, count: values.count)
    let wanted = zip(values, leftOut).map { $0 + $1 }
    let bytes = coding.encode(wanted, base: base, seed: assignment.seed)
    let sent = try coding.decode(bytes, base: base)
    try feedback.propose(zip(wanted, sent).map { $0 - $1 }, stage: stage.index)
    return bytes
  }

  /// Returns the coding of an update in a round of the plan.
  func coding(_ codec: UpdateCodec?, _ key: RoundKey) -> UpdateCoding {
    stages.coding(codec, key, client: configuration.name)
  }

  var threads: Int { configuration.threads }

  /// The number of examples.
  var count: Int {
    switch examples {
    case .trained(let examples): examples.count
    case .summed(let rows): rows.count
    }
  }

  /// Copies the parameters of some parts of an assignment's model from the cache. Throws if a layer is gone or cannot be
  /// read.
  func read(_ parts: some Sequence<Model.Part>, of assignment: Assignment, into parameters: borrowing Storage)
    throws
  {
    for (part, version) in zip(parts, assignment.parts) {
      parameters[part.range].setBytes(try cache.read(version))
    }
  }

  /// Returns the round's options, reduced so that the training fits into the client's memory. Throws
  /// ``ClientError/memory(_:)`` with the memory needed if that is impossible.
  func options(
    _ stage: Stage, _ assignment: Assignment, examples count: Int
  ) throws(ClientError) -> TrainingOptions {
    let resident = resident
    var nodes: Int?
    if case .trained(let examples) = examples { nodes = examples.graphNodes }
    do {
      return try plan.trainingOptions(
        assignment.schedule, images: count, nodes: nodes, of: stage, workers: threads,
        limit: configuration.memory, resident: resident)
    } catch {
      throw .memory("\(assignment.key): \(error); the rest of the process uses \(resident / 1_000_000) MB")
    }
  }

  /// The memory of the process without a training, or 0 if other clients share it. Decoded images may still grow while a
  /// trainer exists.
  private var resident: Int {
    var spare = validation?.spareBytes ?? 0
    if case .trained(let examples) = examples { spare += examples.spareBytes }
    return configuration.sharesProcess ? 0 : ProcessMemory.resident + spare
  }

  /// Throws ``ClientError/memory(_:)`` if so many bytes, beyond those in use, exceed the client's memory limit.
  func requireMemory(_ bytes: Int, _ key: RoundKey) throws(ClientError) {
    let (resident, limit) = (resident, configuration.memory ?? plan.local.memory)
    guard let limit, resident + bytes > limit.bytes else { return }
    throw .memory(
      "\(key): this stage needs \((bytes + 999_999) / 1_000_000) MB of memory, and \(max(limit.bytes - resident, 0) / 1_000_000) MB are available; the rest of the process uses \(resident / 1_000_000) MB"
    )
  }

  /// Returns the stage of an assignment. Throws ``ClientError/server(_:)`` if the plan does not contain it.
  func stage(of assignment: Assignment) throws(ClientError) -> Stage {
    let key = assignment.key
    guard (1...plan.stages).contains(key.stage), (1...plan.mostRounds(stage: key.stage)).contains(key.round)
    else {
      throw .server("\(key) is not in the plan")
    }
    let stage = stages.stage(key, client: configuration.name)
    let fits = zip(stage.model.parts, assignment.parts).allSatisfy {
      $0.name == $1.name && $0.range.count * 4 == $1.bytes
    }
    guard fits, stage.model.parts.count == assignment.parts.count,
      assignment.trained == stage.parts.map(\.name)
    else { throw .server("the layers of \(key) do not match the plan") }
    return stage
  }
}

/// Limits how many clients of a process train at once; a waiting client holds no trainer.
package actor TrainingPermits {
  private var free: Int
  private var waiters: [CheckedContinuation<Void, Never>] = []

  package init(_ count: Int) {
    precondition(count >= 1, "\(count) permits")
    free = count
  }

  /// Runs `body` when a permit is free, in the order of the calls.
  package func withPermit<Result: Sendable>(
    _ body: @Sendable () async throws -> Result
  ) async rethrows -> Result {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiters.append($0) }
    }
    defer {
      if waiters.isEmpty {
        free += 1
      } else {
        waiters.removeFirst().resume()
      }
    }
    return try await body()
  }
}
