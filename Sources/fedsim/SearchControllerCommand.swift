import ArgumentParser
import Client
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Simulation
import Support

struct SearchControllerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search-controller",
    abstract: "Trains a controller that ends the stages of a plan by their losses.",
    usage: "fedsim search-controller [<options>] <plan> --data <spec> --out <file>",
    discussion: """
      The controller is that of L2-GCN, for any encoder: docs/plans.md, method.stageEnd, describes it. A search \
      trains the plan once in each episode, on a part of the data and in this process, and writes the file that \
      method.stageEnd.model names. A stopped search goes on when it is started again; until then its episodes are in \
      FILE.partial. For example:

        fedsim search-controller plan.yaml --data shapes:4000 --out controller.json

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: ArgumentHelp("The data of the episodes.", valueName: "spec"))
  var data: String

  @Option(
    help: ArgumentHelp("The file for the controller.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var out: String

  @Option(help: "The number of simulated clients, 1 to 10000. (default: the plan's cohort)")
  var clients: Int?

  @Option(
    help: "The partition of the data, as in 'fedsim run'.",
    completion: .list(Partition.examples))
  var partition: String = "even"

  @Option(help: "Images of an episode, drawn anew for each; 0: all.")
  var examples: Int = 1024

  @Option(help: "The number of episodes; 0: a controller that is not trained.")
  var episodes: Int = 100

  @Option(help: ArgumentHelp("The cost of an epoch, in units of the loss.", valueName: "cost"))
  var timeRatio: Double = 1e-4

  @Option(
    help: ArgumentHelp(
      "The baseline of the costs at the start. (default: the cost of the first episode)", valueName: "cost"))
  var baseline: Double?

  @Option(help: ArgumentHelp("Rounds from one decision to the next.", valueName: "rounds"))
  var every: Int = 1

  @Option(help: ArgumentHelp("Least rounds of a stage.", valueName: "rounds"))
  var minimum: Int = 1

  @Option(
    help: ArgumentHelp(
      "Most rounds of a stage. (default: those of the plan's longest stage)", valueName: "rounds"))
  var maximum: Int?

  @Option(help: "The seed of the search. (default: the plan's)")
  var seed: UInt64?

  @Option(help: "Threads of the engine, 1 to 256. (default: all cores)")
  var threads: Int?

  @Flag(help: "Replace FILE if it exists.")
  var overwrite = false

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard clients.map(Share.counts.contains) ?? true else { throw ValidationError("--clients is 1 to 10000") }
    guard (0...10_000_000).contains(examples) else { throw ValidationError("--examples is 0 to 10000000") }
    guard (0...100_000).contains(episodes) else { throw ValidationError("--episodes is 0 to 100000") }
    guard (0...1000).contains(timeRatio) else { throw ValidationError("--time-ratio is 0 to 1000") }
    guard baseline.map((-1e6...1e6).contains) ?? true else {
      throw ValidationError("--baseline is -1e6 to 1e6")
    }
    for (name, value) in [("every", every), ("minimum", minimum), ("maximum", maximum ?? 1)] {
      guard (1...PlanLimits.rounds).contains(value) else {
        throw ValidationError("--\(name) is 1 to \(PlanLimits.rounds)")
      }
    }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let settings = try settings()
      guard overwrite || !FileManager.default.fileExists(atPath: out) else {
        throw CommandFailure(.store, "\(out) exists; name another --out, or add --overwrite")
      }
      let file = try OutputFile(out)
      let log = try SearchLog(out + ".partial", settings)
      let terminal = Terminal()
      let start = ContinuousClock.now
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "strata-\(UUID().uuidString)")
      let clear = { @Sendable in _ = try? FileManager.default.removeItem(at: folder) }
      defer { clear() }
      let result = try await resultUnlessStopped(
        "fedsim", on: terminal, last: "stopped; the same command continues", undo: clear
      ) {
        try await TrainingThread.abandonable("search") { try search(settings, log, folder, on: terminal) }
      }
      let bytes = try result.file.encoded()
      try file.write(bytes)
      log.remove()
      let report = SearchReport(result, settings, out, seconds: (ContinuousClock.now - start).seconds)
      try StandardOutput.write(json ? Commands.json(report) : report.table)
    }
  }

  private func settings() throws(CommandFailure) -> ControllerSearch.Settings {
    let plan = try readTrainingPlan(plan)
    let longest = (1...plan.stages).map { plan.mostRounds(stage: $0) }.max() ?? 1
    return ControllerSearch.Settings(
      plan: plan, data: data, clients: clients ?? plan.round.cohort, partition: partition, examples: examples,
      episodes: episodes, timeRatio: timeRatio, baseline: baseline, every: every, minimum: minimum,
      maximum: maximum ?? longest,
      seed: seed ?? plan.seed)
  }

  private func search(
    _ settings: ControllerSearch.Settings, _ log: SearchLog, _ folder: URL, on terminal: Terminal
  ) throws -> ControllerSearch.Result {
    do {
      let search = try ControllerSearch(
        settings, threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, folder: folder)
      // Two trainings follow the episodes.
      let progress = WorkProgress(of: settings.episodes + 2, "episodes", on: terminal)
      if !log.episodes.isEmpty {
        terminal.line("continues after \(counted(log.episodes.count, "episode")) of an earlier search")
      }
      defer { progress.end() }
      return try search.run(after: log.episodes) { episodes in
        try log.write(episodes)
        let last = episodes.last?.lastLoss ?? 0
        progress.set(episodes.count, String(format: "last loss %.4f", last))
      }
    } catch let error as DatasetError {
      throw CommandFailure(.data, error.description)
    } catch ControllerSearch.Failure.setting(let reason) {
      throw CommandFailure(.usage, reason)
    } catch let error as ControllerSearch.Failure {
      throw CommandFailure(.diverged, error.description)
    } catch ClientError.memory(let reason) {
      throw CommandFailure(.memory, reason)
    } catch ClientError.data(let reason) {
      throw CommandFailure(.data, reason)
    } catch let error as CommandFailure {
      throw error
    } catch {
      // The files of an episode.
      throw CommandFailure(.store, error.systemWords)
    }
  }
}

/// The file with the episodes of a search that has not ended.
private struct SearchLog {
  private struct Content: Codable {
    var settings: ControllerSearch.Settings
    var episodes: [ControllerSearch.Episode]
  }

  private let path: String
  private let file: OutputFile
  private let settings: ControllerSearch.Settings
  /// Those of an earlier search with the same settings.
  let episodes: [ControllerSearch.Episode]

  /// Throws ``CommandFailure`` if the file belongs to another search.
  init(_ path: String, _ settings: ControllerSearch.Settings) throws(CommandFailure) {
    (self.path, self.settings) = (path, settings)
    file = try OutputFile(path)
    guard let data = FileManager.default.contents(atPath: path) else {
      episodes = []
      return
    }
    guard let content = try? JSON.read(Content.self, from: data), content.settings == settings,
      content.episodes.allSatisfy({ $0.fits(settings) })
    else {
      throw CommandFailure(
        .store, "\(path) is of a search with other settings, or damaged; remove it, or name another --out")
    }
    episodes = content.episodes
  }

  func write(_ episodes: [ControllerSearch.Episode]) throws(CommandFailure) {
    let content = Content(settings: settings, episodes: episodes)
    try file.write { try JSON.stored(content).write(to: URL(fileURLWithPath: $0)) }
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// The report of a search.
private struct SearchReport: Encodable {
  let file: String
  let stages, decisions: Int
  let rule: ControllerFile.Rule
  let episodes: [ControllerSearch.Episode]
  let controlled, whole: ControllerSearch.Trial
  let seconds: Double

  init(
    _ result: ControllerSearch.Result, _ settings: ControllerSearch.Settings, _ file: String, seconds: Double
  ) {
    self.file = file
    (stages, decisions) = (settings.plan.stages, settings.decisions)
    (rule, episodes) = (result.file.rule, result.episodes)
    (controlled, whole, self.seconds) = (result.controlled, result.whole, seconds)
  }

  var table: String {
    var lines = [
      "controller       \(file), for \(counted(stages, "stage")) and \(decisions) decisions",
      String(format: "threshold        %.4f", rule.threshold),
      "rounds a stage   \(rule.minimum) to \(rule.maximum), a decision every \(rule.every)",
    ]
    let own = episodes.dropFirst(episodes.count / 2).map(\.cost)
    if own.count > 1 {
      let part = max(1, own.count / 5)
      lines.append(
        String(
          format: "own episodes     mean cost %.4f in the first %d, %.4f in the last %d",
          mean(own.prefix(part)), part, mean(own.suffix(part)), part))
    }
    lines.append("controlled       \(text(controlled))")
    lines.append("all rounds       \(text(whole))")
    lines.append(String(format: "time             %.1f s", seconds))
    return lines.joined(separator: "\n")
  }

  private func mean(_ values: ArraySlice<Double>) -> Double { values.reduce(0, +) / Double(values.count) }

  private func text(_ trial: ControllerSearch.Trial) -> String {
    let rounds = trial.rounds.map(String.init).joined(separator: " + ")
    let sum = trial.rounds.count > 1 ? " = \(trial.rounds.reduce(0, +))" : ""
    return "\(rounds)\(sum) rounds, last loss \(String(format: "%.4f", trial.lastLoss))"
  }
}
