import Datasets
import Engine
import Federation
import Foundation
import Simulation
import Testing

@Suite(.unhurried) struct ControllerSearchTests {
  private func settings(
    episodes: Int = 6, _ change: (inout ControllerSearch.Settings) -> Void = { _ in }
  ) -> ControllerSearch.Settings {
    var settings = ControllerSearch.Settings(
      plan: .tiny(rounds: 3), data: "shapes:64", clients: 2, partition: "even", examples: 40,
      episodes: episodes, timeRatio: 1e-2, maximum: 3, seed: 3)
    change(&settings)
    return settings
  }

  private func search(_ settings: ControllerSearch.Settings) throws -> ControllerSearch.Result {
    try withFolder { try ControllerSearch(settings, threads: 1, folder: $0).run() }
  }

  private func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  @Test func imposedEpisodesHaveAllDecisionsAndOthersEndThemselves() throws {
    let result = try search(settings(episodes: 20) { $0.baseline = 3.5 })
    #expect(result.episodes.count == 20)
    for (number, episode) in result.episodes.enumerated() {
      let ends = episode.decisions.filter(\.ends).count
      #expect(ends == 2 || episode.decisions.count == 6, "episode \(number)")
      #expect(episode.rounds.reduce(0, +) == episode.decisions.count, "a decision in each round")
      #expect(episode.cost == episode.lastLoss + 1e-2 * Double(episode.decisions.count))
      #expect(episode.decisions.last?.ends == true && episode.decisions.last?.loss == episode.lastLoss)
      guard number < 10 else { continue }
      #expect(episode.decisions.count == 6 && ends == 2 && episode.rounds.count == 2, "episode \(number)")
      if number % 5 == 4 { #expect(episode.rounds == [4, 2], "floor(6 / 2) = 3 is the fourth decision") }
    }
    let own = result.episodes.dropFirst(10)
    #expect(own.contains { $0.decisions.count < 6 }, "one ends before the last decision")
    #expect(Set(result.episodes.map { $0.decisions[0].loss }).count == 20, "each has weights of its own")
  }

  /// The threshold is the mean over the last episode, before its step.
  @Test func theFileHasWhatWasLearned() throws {
    let result = try search(settings())
    let learner = ControllerLearner(
      StageController(StageController.Shape(stages: 2, decisions: 6), seed: 3))
    var stop: [Double] = []
    for episode in result.episodes { stop = learner.learn(episode.decisions, cost: episode.cost) }
    #expect(result.file.controller == learner.controller)
    #expect(result.file.rule.threshold == stop.reduce(0, +) / Double(stop.count))
    #expect(result.file.rule.every == 1 && result.file.rule.minimum == 1 && result.file.rule.maximum == 3)
    #expect(result.file.origin["data"] == "shapes:64" && result.file.origin["episodes"] == "6")
    #expect(result.whole.rounds == [3, 3] && result.controlled.rounds.allSatisfy { (1...3).contains($0) })
    let plan = settings().plan
    #expect(throws: Never.self) { try result.file.check(fits: plan) }
  }

  /// A search that goes on from its episodes gives the same file, and does not repeat them.
  @Test func aSearchGoesOn() throws {
    struct Stopped: Error {}
    let whole = try search(settings())
    var known: [ControllerSearch.Episode] = []
    #expect(throws: Stopped.self) {
      try withFolder {
        try ControllerSearch(settings(), threads: 2, folder: $0).run {
          known = $0
          if known.count == 4 { throw Stopped() }
        }
      }
    }
    #expect(known == Array(whole.episodes.prefix(4)), "on two threads")
    var noted: [Int] = []
    let rest = try withFolder {
      try ControllerSearch(settings(), threads: 1, folder: $0).run(after: known) { noted.append($0.count) }
    }
    #expect(rest.file == whole.file && noted == [5, 6])
  }

  /// Without server and sockets, a training has the losses of a job to the bit: here with two epochs, a schedule and
  /// uneven clients.
  @Test func anEpisodeTrainsAsAJobDoes() async throws {
    var plan = Plan.tiny(rounds: 3)
    (plan.local.epochs, plan.local.schedule, plan.local.batch) = (2, .cosine, 8)
    let result = try search(
      settings(episodes: 0) { ($0.plan, $0.examples, $0.partition) = (plan, 0, "dirichlet:0.5") })
    plan.seed = RandomNumbers.derive(3, "episode", [0])
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let summary = try await Experiment(
      Experiment.Settings(
        plan: plan, clients: 2, data: try DataSpec(parsing: "shapes:64"), testData: nil,
        partition: .dirichlet(beta: 0.5), out: out, cores: 2, threads: 1)
    ) { _ in }.run()
    let losses = summary.rounds.map { $0.metrics[.lastEpochLoss] }
    #expect(losses.count == 6 && losses.last == result.whole.lastLoss, "\(losses)")
    #expect(summary.rounds.allSatisfy { $0.metrics[.lastEpochLoss] != $0.metrics[.loss] })
  }

  @Test func decisionsFollowTheRoundsOfAStage() throws {
    let result = try search(
      settings(episodes: 4) { ($0.every, $0.maximum, $0.minimum) = (2, 5, 2) })
    #expect(result.file.controller.shape.decisions == 6)
    for episode in result.episodes.prefix(2) {
      let decisions = Dictionary(grouping: episode.decisions, by: \.stage).mapValues(\.count)
      for (stage, rounds) in episode.rounds.enumerated() {
        #expect(rounds == 1 + 2 * (decisions[stage]! - 1), "after the rounds 1, 3, 5 …")
      }
    }
    #expect(result.controlled.rounds.allSatisfy { (2...5).contains($0) })
  }

  /// The same parameters as before any episode, and a threshold from one training.
  @Test func withoutEpisodesTheControllerIsNotTrained() throws {
    let result = try search(settings(episodes: 0))
    let shape = StageController.Shape(stages: 2, decisions: 6)
    #expect(result.file.controller == StageController(shape, seed: 3) && result.episodes.isEmpty)
    #expect((0.05...0.95).contains(result.file.rule.threshold))
  }

  /// Kinds of encoders and objectives make no difference.
  @Test func classificationsOfAResNetAreSearched() throws {
    var plan = Plan.tiny(rounds: 2)
    plan.encoder = EncoderConfiguration(ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 2))
    (plan.method.initialisation, plan.method.objective, plan.method.alignment) = (.random, .classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(10))
    #expect(plan.problems.isEmpty, "\(plan.problems)")
    let result = try search(
      settings(episodes: 2) { ($0.plan, $0.maximum, $0.partition) = (plan, 2, "dirichlet:0.5") })
    #expect(result.file.controller.shape.stages == 2 && result.whole.rounds == [2, 2])
  }

  @Test(arguments: [
    ("cascade", "remove method.cascade"), ("regression", "have exact steps"),
    ("minimum", "at least 4 rounds and at most 3"),
    ("every", "a stage has one decision"), ("maximum", "20000 decisions in a run are more than 10000"),
  ])
  func whatCannotBeSearchedIsRejected(what: String, reason: String) throws {
    let settings = settings {
      switch what {
      case "cascade": $0.plan.method.cascade = Plan.Cascade()
      case "regression": $0.plan.method.objective = .regression
      case "minimum": $0.minimum = 4
      case "every": $0.every = 3
      default: $0.maximum = 10_000
      }
    }
    let error = #expect(throws: ControllerSearch.Failure.self) { try search(settings) }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test func aTrainingThatDivergesEndsTheSearch() throws {
    let settings = settings {
      ($0.plan.method.temperature, $0.plan.method.alignment) = (.leastNonzeroMagnitude, 0)
    }
    let error = #expect(throws: ControllerSearch.Failure.self) { try search(settings) }
    #expect(error?.description.contains("episode 1 diverged") == true)
  }
}
