import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import Synchronization

struct CompareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Runs a plan under several strategies on the same images and seeds, and compares them.",
    usage: """
      fedsim compare [<options>] <plan> --out <dir>
                            --data <spec> --test-data <spec>
      """,
    discussion: """
      Each run is a 'fedsim run' in a process of its own, with the results in DIR/STRATEGY-SSL-SEED; 'fedsim memory' \
      measures the memory of a client. The baseline is a centralised run, one client with all images. Writes \
      compare.txt, compare.json and compare.html to DIR. If a run fails, the others continue; the table names it, and \
      the exit code is that of the first failed run. For example:

        fedsim compare plan.yaml --data shapes:4000 --test-data shapes:1000 --out all

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(
    help: "Strategies, separated by commas. (default: layer-wise,progressive,end-to-end)",
    completion: .list(Strategy.allCases.map(\.rawValue)), transform: CompareList.strategies)
  var strategies: [Strategy] = [.layerWise, .progressive, .endToEnd]

  @Option(
    help: "Losses of simclr, mocov3 and byol, separated by commas. (default: the plan's)",
    completion: .list(ObjectiveKind.allCases.map(\.rawValue)), transform: CompareList.losses)
  var objectives: [ObjectiveKind]?

  @Option(
    help: ArgumentHelp("The folder for the results.", valueName: "dir"), completion: .directory)
  var out: String

  @Option(help: ArgumentHelp("The clients' images, as for run.", valueName: "spec"))
  var data: String

  @Option(help: ArgumentHelp("Labelled images for the evaluation.", valueName: "spec"))
  var testData: String

  @Option(help: "The number of clients, 1 to 10000.")
  var clients: Int = 4

  @Option(
    help: "The partition of the data, as in 'fedsim run'.",
    completion: .list(Partition.examples))
  var partition: String = "even"

  @Option(help: "Seeds, separated by commas. (default: the plan's)", transform: CompareList.seeds)
  var seeds: [UInt64]?

  @Option(
    help: ArgumentHelp("Epochs of fine-tuning of each encoder; 0: no fine-tuning.", valueName: "epochs"))
  var fineTune: Int = 0

  @Option(
    help: ArgumentHelp(
      "Rounds from one probe to the next; 0: only at the end. (default: a tenth of the rounds)",
      valueName: "rounds")
  )
  var probeEvery: Int?

  @Option(help: "Cores that the trainings share. (default: all)")
  var cores: Int?

  @Option(help: "Threads of one training, 1 to 256.")
  var threads: Int = 1

  @Flag(help: "Continue an earlier comparison in DIR; finished runs are not repeated.")
  var resume = false

  @Flag(help: "Print compare.json instead of the table.")
  var json = false

  func validate() throws {
    guard (1...10_000).contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
    guard cores.map((1...1024).contains) ?? true else { throw ValidationError("--cores is 1 to 1024") }
    guard (0...10_000).contains(fineTune) else { throw ValidationError("--fine-tune is 0 to 10000") }
    guard probeEvery.map((0...1_000_000).contains) ?? true else {
      throw ValidationError("--probe-every is 0 to 1000000")
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let settings = try settings()
      let progress = CompareProgress()
      let report = try await resultUnlessStopped(
        "fedsim", on: progress.terminal, last: "stopped; the same command with --resume continues"
      ) {
        do {
          let comparison = try StrategyComparison(settings, observer: progress.note)
          progress.begin(comparison.cells)
          let report = try await comparison.run()
          try report.write(to: settings.out)
          progress.end()
          return report
        } catch {
          progress.end()
          throw Self.failure(error)
        }
      }
      let columns = Terminal.columns(of: STDOUT_FILENO)
      try StandardOutput.write(
        json ? escapedJSON(report.json()) : ComparisonTable.text(of: report, columns: columns), terminator: ""
      )
      if !json {
        try StandardOutput.write(
          "\nreport: \(settings.out.appendingPathComponent("compare.html").relativePath)")
      }
      try Self.fail(report)
    }
  }

  private func settings() throws -> StrategyComparison.Settings {
    let folder = planFolder(plan)
    var plan = try readTrainingPlan(plan)
    // Each run has a separate folder with its plan file, so that relative paths would not resolve.
    for file in [\Plan.initial, \Plan.method.stageEnd.model] {
      plan[keyPath: file] = plan[keyPath: file].map { URL(fileURLWithPath: $0, relativeTo: folder).path }
    }
    let cores = cores ?? ProcessInfo.processInfo.activeProcessorCount
    do {
      var settings = StrategyComparison.Settings(
        plan: plan, strategies: strategies, objectives: objectives ?? [plan.method.objective],
        seeds: seeds ?? [plan.seed],
        clients: clients, data: try DataSpec(parsing: data), testData: try DataSpec(parsing: testData),
        partition: try Partition(parsing: partition), out: URL(fileURLWithPath: out, isDirectory: true),
        cores: cores, threads: min(threads, cores),
        executable: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
        command: CompareList.command(CommandLine.arguments))
      settings.fineTune = fineTune
      settings.probeEvery = probeEvery ?? max(1, plan.mostRounds / 10)
      settings.resumes = resume
      return settings
    } catch {
      throw CommandFailure(.data, error.description)
    }
  }

  /// Throws the exit code of the first failed run.
  private static func fail(_ report: ComparisonReport) throws {
    guard let first = report.failures.first else { return }
    let count = report.failures.count
    throw CommandFailure(
      CommandFailure.Code(rawValue: first.code) ?? .failed,
      "\(count == 1 ? "one run" : "\(count) runs") failed, first \(first)")
  }

  private static func failure(_ error: any Error) -> CommandFailure {
    switch error {
    case let error as DatasetError: CommandFailure(.data, error.description)
    case ComparisonError.plan(let reason): CommandFailure(.plan, reason)
    case let error as ComparisonError: CommandFailure(.store, error.description)
    default: CommandFailure(.store, error.systemWords)
    }
  }
}

/// Parses the comma-separated lists on the command line of a comparison.
enum CompareList {
  @Sendable static func strategies(_ text: String) throws -> [Strategy] { try cases(text) }
  @Sendable static func losses(_ text: String) throws -> [ObjectiveKind] { try cases(text) }

  @Sendable static func seeds(_ text: String) throws -> [UInt64] {
    try list(text) { entry in
      guard let seed = UInt64(entry) else {
        throw ValidationError("'\(entry)' is not a whole number of 0 to \(UInt64.max)")
      }
      return seed
    }
  }

  /// At most as many depths as a plot has styles.
  @Sendable static func depths(_ text: String) throws -> [Int] {
    let depths = try list(text) { entry in
      guard let depth = Int(entry), (1...PlanLimits.depth).contains(depth) else {
        throw ValidationError("'\(entry)' is not a whole number of 1 to \(PlanLimits.depth)")
      }
      return depth
    }
    guard depths.count <= 12 else {
      throw ValidationError("--depths has \(depths.count) entries; at most 12")
    }
    return depths
  }

  private static func cases<Case>(_ text: String) throws -> [Case]
  where Case: CaseIterable & RawRepresentable & Hashable, Case.RawValue == String {
    try list(text) { entry in
      guard let value = Case(rawValue: entry) else {
        let known = Case.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(entry)' is not one of \(known)")
      }
      return value
    }
  }

  private static func list<Entry: Hashable>(_ text: String, _ parse: (String) throws -> Entry) throws
    -> [Entry]
  {
    var known: Set<Entry> = []
    return try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
      let entry = try parse(String(word))
      guard known.insert(entry).inserted else { throw ValidationError("'\(word)' is given twice") }
      return entry
    }
  }

  /// Returns a command line with the quotes that a shell needs.
  static func command(_ arguments: [String]) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%")
    let words = arguments.dropFirst().map { word in
      let isPlain = !word.isEmpty && word.allSatisfy(plain.contains)
      return isPlain
        ? word
        : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
    return (["fedsim"] + words).joined(separator: " ")
  }
}

/// The output of a comparison: lines, and on a terminal a bar with the rounds of all runs.
final class CompareProgress: Sendable {
  private struct State {
    /// The progress over the runs that have no earlier result.
    var rounds: WorkProgress?
    /// The rounds of the runs before this one, and of this one as planned and as committed.
    var before = 0
    var planned = 0
    var committed = 0
    var now = ""
  }

  let terminal = Terminal()
  private let state = Mutex(State())

  /// Sets the runs to be done.
  func begin(_ cells: [ComparisonCell]) {
    let total = cells.reduce(0) { $0 + ($1.record == nil ? $1.plan.mostRounds : 0) }
    guard total > 0 else { return }
    state.withLock { $0.rounds = WorkProgress(of: total, "rounds", on: terminal) }
  }

  func note(_ event: StrategyComparison.Event) {
    switch event {
    case .run(let cell, let index, let count, let isKnown):
      line("run \(index) of \(count): \(cell.name)\(isKnown ? ", finished before" : "")")
      begin(isKnown ? 0 : cell.plan.mostRounds, "run \(index) of \(count)")
    case .line(let text):
      line("  \(text)")
      guard RoundSummary.isLine(text) else { break }
      state.withLock { $0.committed = min($0.committed + 1, $0.planned) }
    case .measuring(let variant):
      line("memory of a client: \(variant.label)")
      begin(0, "memory of a client")
    case .failed(let failure): line("failed: \(failure)")
    }
    state.withLock { $0.rounds?.set($0.before + $0.committed, $0.now) }
  }

  /// Begins a part with a number of rounds.
  private func begin(_ rounds: Int, _ name: String) {
    state.withLock { state in
      // Counts the planned rounds of the last part, even if it failed.
      state.before += state.planned
      (state.planned, state.committed, state.now) = (rounds, 0, name)
    }
  }

  private func line(_ text: String) { terminal.line(text) }

  func end() { terminal.clear() }
}
