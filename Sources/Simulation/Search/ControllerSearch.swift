import Datasets
import Engine
import Federation
import Foundation
import Support

/// Trains a learned controller by REINFORCE (``StageController``) on short trainings of a plan, the episodes.
///
/// Decisions follow the rounds 1, 1 + `every`, … of each stage, as in a job. In the first half of the episodes the
/// stages end as ``ImposedStops`` says; in the second half the actions are drawn from the controller's probabilities. An
/// episode ends with its last stage, or after T decisions. Its cost is the last loss + timeRatio x epochs.
package struct ControllerSearch: Sendable {
  package struct Settings: Sendable, Hashable, Codable {
    package var plan: Plan
    /// The specification of the data, as written.
    package var data: String
    package var clients: Int
    package var partition: String
    /// The images, nodes or rows of an episode, drawn anew for each; 0: all.
    package var examples: Int
    /// The number of episodes; 0 gives a controller that is not trained.
    package var episodes: Int
    /// The cost of an epoch, in units of the loss.
    package var timeRatio: Double
    /// The baseline of the costs at the start; nil for the cost of the first episode, so that costs of any objective are
    /// neither all above it nor all below.
    package var baseline: Double?
    package var every, minimum, maximum: Int
    package var seed: UInt64

    package init(
      plan: Plan, data: String, clients: Int, partition: String, examples: Int = 1024, episodes: Int = 100,
      timeRatio: Double = 1e-4, baseline: Double? = nil, every: Int = 1, minimum: Int = 1, maximum: Int,
      seed: UInt64
    ) {
      (self.plan, self.data, self.clients, self.partition) = (plan, data, clients, partition)
      (self.examples, self.episodes, self.timeRatio) = (examples, episodes, timeRatio)
      self.baseline = baseline
      (self.every, self.minimum, self.maximum, self.seed) = (every, minimum, maximum, seed)
    }

    /// T: the decisions of a training in which each stage has its most rounds.
    package var decisions: Int { plan.stages * ((maximum - 1) / every + 1) }
  }

  /// A finished episode.
  package struct Episode: Sendable, Hashable, Codable {
    package let decisions: [ControllerDecision]
    package let cost: Double
    /// The rounds of each stage, and the loss of the last one.
    package let rounds: [Int]
    package let lastLoss: Double

    /// Whether a controller for these settings can learn from it; a file may contain anything.
    package func fits(_ settings: Settings) -> Bool {
      (1...settings.decisions).contains(decisions.count) && cost.isFinite
        && decisions.allSatisfy { $0.loss.isFinite && (0..<settings.plan.stages).contains($0.stage) }
    }
  }

  /// A training with decisions that are not learned from.
  package struct Trial: Sendable, Hashable, Codable {
    package let rounds: [Int]
    package let lastLoss: Double
  }

  package struct Result: Sendable {
    package let file: ControllerFile
    package let episodes: [Episode]
    /// A training with the controller, and one with the most rounds of each stage, on the same images.
    package let controlled, whole: Trial
  }

  /// The reason why a search cannot run or go on.
  package enum Failure: Error, Sendable, CustomStringConvertible {
    case setting(String)
    case diverged(episode: Int)

    package var description: String {
      switch self {
      case .setting(let reason): reason
      case .diverged(let episode):
        "the training of episode \(episode) diverged; try a lower local.learningRate"
      }
    }
  }

  private let settings: Settings
  private let examples: Dataset
  private let partition: Partition
  private let threads: Int
  /// The folder for the files of a training.
  private let folder: URL
  private let shape: StageController.Shape

  /// Checks the settings, and loads the data. The episodes use `folder`. Throws ``Failure`` and ``DatasetError``.
  package init(_ settings: Settings, threads: Int, folder: URL) throws {
    try Self.check(settings)
    let plan = settings.plan
    partition = try Partition(parsing: settings.partition)
    examples = plan.trainingPart(
      of: try plan.labelled(
        DataSpec(parsing: settings.data).dataset(role: .train, for: plan.encoder.input, strict: true)))
    shape = StageController.Shape(stages: plan.stages, decisions: settings.decisions)
    (self.settings, self.threads, self.folder) = (settings, threads, folder)
  }

  private static func check(_ settings: Settings) throws(Failure) {
    let (plan, maximum) = (settings.plan, settings.maximum)
    guard plan.method.cascade == nil else {
      throw .setting(
        "the episodes of a search do not select images: remove method.cascade from the plan for the search")
    }
    guard !plan.isRegression else {
      throw .setting("the stages of a regression have exact steps, which no controller ends")
    }
    guard settings.minimum <= maximum else {
      throw .setting("a stage has at least \(settings.minimum) rounds and at most \(maximum)")
    }
    guard settings.decisions > plan.stages else {
      throw .setting(
        "with \(counted(maximum, "round")) at most and a decision every \(settings.every), a stage has one decision, and two are needed"
      )
    }
    guard settings.decisions <= ControllerFile.mostDecisions else {
      throw .setting(
        "\(settings.decisions) decisions in a run are more than \(ControllerFile.mostDecisions); decide less often, or give a smaller maximum"
      )
    }
  }

  /// Runs the episodes that follow `finished`, those of an earlier search with the same settings; `note` gets all
  /// episodes so far after each. Throws ``Failure``, ``DatasetError`` and the errors of `note`.
  package func run(
    after finished: [Episode] = [], note: ([Episode]) throws -> Void = { _ in }
  ) throws -> Result {
    let learner = ControllerLearner(
      StageController(shape, seed: settings.seed), baseline: settings.baseline.map { CostBaseline($0) })
    var episodes: [Episode] = []
    var stop: [Double] = []
    for number in 0..<settings.episodes {
      let isKnown = number < finished.count
      let episode = isKnown ? finished[number] : try self.episode(number, learner.controller)
      episodes.append(episode)
      stop = learner.learn(episode.decisions, cost: episode.cost)
      if !isKnown { try note(episodes) }
    }
    if episodes.isEmpty {
      // A threshold needs the probabilities of a training, here with stages of equal length.
      let even = try episode(ImposedStops.group - 1, learner.controller)
      stop = learner.controller.review(even.decisions, advantage: 0).stop
    }
    let rule = ControllerFile.Rule(
      threshold: stop.reduce(0, +) / Double(stop.count), every: settings.every, minimum: settings.minimum,
      maximum: settings.maximum)
    let file = ControllerFile(learner.controller, rule, origin: origin)
    return Result(
      file: file, episodes: episodes, controlled: try trial(file), whole: try trial(nil))
  }

  /// How the controller was made.
  private var origin: [String: String] {
    [
      "software": "strata \(Software.version)", "plan": settings.plan.name, "data": settings.data,
      "clients": "\(settings.clients)", "partition": settings.partition, "examples": "\(settings.examples)",
      "episodes": "\(settings.episodes)", "timeRatio": "\(settings.timeRatio)",
      "baseline": settings.baseline.map { "\($0)" } ?? "first cost", "seed": "\(settings.seed)",
    ]
  }

  // MARK: - Episodes

  private func episode(_ number: Int, _ controller: StageController) throws -> Episode {
    var random = RandomNumbers(settings.seed, "actions", number)
    let isImposed = number < settings.episodes / 2 || settings.episodes == 0
    let stops = isImposed ? ImposedStops.decisions(ofEpisode: number, shape, &random) : []
    let training = try training(number)
    var (state, decisions, lastLoss) = (StageController.State(), [ControllerDecision](), 0.0)
    while true {
      guard let loss = try training.train() else { throw Failure.diverged(episode: number + 1) }
      lastLoss = loss
      let (stage, index) = (training.rounds.count - 1, decisions.count)
      guard ((training.rounds.last ?? 1) - 1) % settings.every == 0 else { continue }
      let isLast = index == shape.decisions - 1
      let ends: Bool
      if isImposed {
        ends = stops.contains(index)
      } else {
        let probability = controller.decide(loss: lastLoss, stage: stage, &state)
        ends = Double(random.uniform()) < probability || isLast
        state.hasEnded = ends
      }
      decisions.append(ControllerDecision(loss: lastLoss, stage: stage, ends: ends))
      if isLast || (ends && stage == shape.stages - 1) { break }
      if ends { training.grow() }
    }
    return Episode(
      decisions: decisions, cost: lastLoss + settings.timeRatio * Double(training.epochs),
      rounds: training.rounds, lastLoss: lastLoss)
  }

  /// Trains by the rule of a job: with a controller, or with the most rounds of each stage.
  private func trial(_ file: ControllerFile?) throws -> Trial {
    let fixed = FixedCurriculum(stages: shape.stages) { [maximum = settings.maximum] _ in maximum }
    let curriculum: any Curriculum = file.map { ControllerCurriculum(fixed: fixed, file: $0) } ?? fixed
    let training = try training(settings.episodes)
    var history = [[RoundMetrics]()]
    while true {
      guard let loss = try training.train() else {
        throw Failure.diverged(episode: settings.episodes + 1)
      }
      var metrics = RoundMetrics()
      metrics[.lastEpochLoss] = loss
      history[history.count - 1].append(metrics)
      let key = RoundKey(stage: training.rounds.count, round: training.rounds.last ?? 1)
      switch curriculum.next(after: key, history: history) {
      case .continueStage: continue
      case .beginStage:
        training.grow()
        history.append([])
      case .finish: return Trial(rounds: training.rounds, lastLoss: loss)
      }
    }
  }

  /// Returns the training of an episode, with its own weights, examples and partition.
  private func training(_ number: Int) throws -> EpisodeTraining {
    var plan = settings.plan
    plan.seed = RandomNumbers.derive(settings.seed, "episode", [number])
    var some = examples
    if settings.examples > 0, settings.examples < examples.count {
      var random = RandomNumbers(plan.seed, "examples")
      some = examples.subset((0..<examples.count).shuffled(using: &random).prefix(settings.examples).sorted())
    }
    try? FileManager.default.removeItem(at: folder)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return try EpisodeTraining(
      plan, some, clients: settings.clients, partition, scheduled: settings.maximum, threads: threads,
      folder: folder)
  }
}
