import Datasets
import Engine
import Federation
import Foundation
import Support
import Wire

/// A client's own labelled examples, on which it evaluates the models that it receives: images, or the test nodes of a
/// graph.
///
/// A validation runs between trainings, so that it neither delays an update nor needs memory at the same time as a
/// trainer. If the next training begins before it is over, it counts the images that it got to, which are a random
/// part.
struct ModelValidation: Sendable {
  private let plan: Plan
  /// With labels that are indices into the job's classes.
  private let examples: Dataset
  private let configuration: Client.Configuration

  /// The most images in a chunk of a worker.
  private static let mostChunk = 16

  /// Throws ``ClientError/data(_:)`` if the job has no classes, or others than the images.
  init(_ plan: Plan, _ examples: Dataset, _ configuration: Client.Configuration) throws(ClientError) {
    guard plan.method.classification != nil else {
      throw .data(
        "--validate: the job trains without labels (\(plan.method.objective.rawValue)), so there is no accuracy to report"
      )
    }
    do {
      self.examples = try plan.labelled(examples).fitted(to: plan.encoder.input)
    } catch {
      throw .data("--validate: \(error.description)")
    }
    if case .nodes(let set) = self.examples, set.split.test.isEmpty {
      throw .data("--validate: \(DatasetError.noNodes(for: "a validation", kind: "test"))")
    }
    (self.plan, self.configuration) = (plan, configuration)
  }

  /// The number of bytes by which the memory of the examples may still grow.
  var spareBytes: Int { examples.spareBytes }

  /// Classifies the examples at each exit of an assignment's model until all are classified or `progress` is stopped.
  /// Returns nil without an image. The caller provides the thread. Throws if a layer is gone or cannot be read.
  ///
  /// - Parameter options: the options of a training, whose memory is not exceeded.
  func run(
    _ assignment: Assignment, _ stage: Stage, _ options: TrainingOptions, _ cache: LayerCache,
    _ progress: LocalWork.Progress
  ) throws -> Validation? {
    let model = stage.model
    let parameters = Storage(model.layout)
    for (part, version) in zip(model.parts, assignment.parts) {
      parameters[part.range].setBytes(try cache.read(version))
    }
    let workers = Workers(min(configuration.threads, options.chunk))
    let images: ImageSet
    switch examples {
    case .images(let set): images = set
    case .nodes(let set): return result(model, parameters, set, assignment.key, workers)
    case .rows: return nil  // A job with classes takes none.
    }
    let chunk = min(Self.mostChunk, options.chunk / workers.count)
    var random = RandomNumbers(RandomNumbers.derive(assignment.seed, "validation"))
    let order = Array(0..<images.count).shuffled(using: &random)
    let clock = ContinuousClock()
    var pace = configuration.limits.pace(at: clock.now)
    var (labels, correct): ([Int], [Int]) = ([], EarlyExits.depths(of: model).map { _ in 0 })
    var start = 0
    while start < order.count, isAllowed {
      let end = min(start + chunk * workers.count, order.count)
      let part = images.subset(Array(order[start..<end])).readable(workers)
      let own = part.labels ?? []
      let answers = ExitEvaluation.answers(
        model, parameters, part, plan.augmentation, workers: workers, chunk: chunk)
      for (exit, answers) in answers.enumerated() {
        correct[exit] += zip(answers, own).count { $0.label == $1 }
      }
      labels += own
      start = end
      if progress.isStopped { break }
      progress.gate.wait(for: pace?.pause(at: clock.now, used: configuration.limits.used()) ?? .zero)
    }
    guard !labels.isEmpty else { return nil }
    return Self.result(assignment.key, labels, correct)
  }

  /// Classifies the test nodes on their whole graph.
  private func result(
    _ model: Model, _ parameters: borrowing Storage, _ set: NodeSet, _ key: RoundKey, _ workers: Workers
  ) -> Validation? {
    guard isAllowed else { return nil }
    let labels = set.split.test.map { set.labels[$0] }
    let answers = ExitEvaluation.answers(model, parameters, set, workers: workers)
    return Self.result(key, labels, answers.map { zip($0, labels).count { $0.label == $1 } })
  }

  private static func result(_ key: RoundKey, _ labels: [Int], _ correct: [Int]) -> Validation {
    let majority = Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +).values.max() ?? 0
    return Validation(key: key, images: labels.count, majority: majority, correct: correct)
  }

  /// Whether the limits of the device permit computing now.
  private var isAllowed: Bool { configuration.limits.closed == nil && !configuration.limits.isOnBattery }
}

extension LocalWork {
  /// Validates an assignment's model; returns nil without a result. The caller provides the thread.
  func validate(_ assignment: Assignment, _ progress: Progress) throws -> Validation? {
    // A client that lacks blocks does not have the model.
    guard let validation, !progress.isStopped, assignment.others.isEmpty else { return nil }
    if let niceness = configuration.limits.niceness { try? Niceness.raise(to: niceness) }
    let stage = try stage(of: assignment)
    return try validation.run(
      assignment, stage, try options(stage, assignment, examples: count), cache, progress)
  }
}

extension ClientSession {
  /// Validates the model of an assignment whose update is offered, in the background, and reports the result with a
  /// heartbeat. A failure is an event and affects nothing else.
  func validate(_ assignment: Assignment) {
    guard let work, work.validation != nil, training == nil else { return }
    validating?.stop()
    let progress = LocalWork.Progress()
    validating = progress
    Task { [permits = client.permits, observer = client.observer] in
      do {
        let validation = try await permits.withPermit {
          try await TrainingThread.run("validation") { try work.validate(assignment, progress) }
        }
        guard let validation else { return }
        try await self.connection.send(.heartbeat(self.heartbeat(with: validation)))
        observer(.validated(validation))
      } catch is WireError {
        return  // The receiving task gets the same error.
      } catch {
        // The next assignment has other layers.
        guard !progress.isStopped else { return }
        observer(.unvalidated(assignment.key, reason: "\(error)"))
      }
    }
  }
}
