import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import Support
import Synchronization

struct CompareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Runs variants of a plan with the same seeds, and compares them.",
    usage: """
      fedsim compare [<options>] <plan> --out <dir>
                            --data <spec> --test-data <spec>
      """,
    discussion: """
      The variants are all strategies with all losses and all values of --vary. Each run is a 'fedsim run' in a process \
      of its own, with the results in DIR/VARIANT-SEED; as many run at a time as --cores and --memory allow. 'fedsim \
      memory' measures the memory of a client. The baseline is a centralised run, one client with all data. Writes \
      compare.txt, compare.json, compare.csv and compare.html to DIR. If a run fails, the others continue; the table \
      names it, and the exit code is that of the first failed run. For example:

        fedsim compare plan.yaml --data shapes:4000 --test-data shapes:1000 --out all
        fedsim compare plan.yaml --data shapes:4000 --test-data shapes:1000 --out rates \
          --strategies layer-wise --vary local.learningRate=1e-3,2e-3 --seeds 1,2,3

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(
    help: "Strategies, separated by commas. (default: layer-wise,progressive,end-to-end)",
    completion: .list(Strategy.allCases.map(\.rawValue)), transform: CompareList.strategies)
  var strategies: [Strategy] = [.layerWise, .progressive, .endToEnd]

  @Option(
    help:
      "Losses such as simclr, mocov3, byol, vicreg and barlow, separated by commas. (default: the plan's)",
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

  @Option(
    help: ArgumentHelp(
      "A setting and its values: FIELD=VALUE,VALUE with a field of the plan, such as local.learningRate, or clients, data, partition, dropout, link or codec; separated by ';' if a value has commas. May be repeated.",
      valueName: "field=values"))
  var vary: [String] = []

  @Option(
    help: ArgumentHelp(
      "What the others are compared with: a strategy, or FIELD=VALUE,… with strategy, objective and varied settings; each variant is compared with the one that differs from it only in these. (default: end-to-end, or the first value of --vary)",
      valueName: "variant"))
  var against: String?

  @Flag(help: "Leave out the centralised baseline.")
  var noCentralised = false

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

  @OptionGroup var layers: AnalysisOptions

  @Option(help: "Cores that all runs share. (default: all)")
  var cores: Int?

  @Option(help: "Threads of one training, 1 to 256.")
  var threads: Int = 1

  @Option(
    help: ArgumentHelp(
      "Memory that runs at a time may take together, such as 4GB. (default: three quarters of what is free)",
      valueName: "bytes"),
    transform: CompareList.memory)
  var memory: ByteCount?

  @Flag(help: "Continue an earlier comparison in DIR; finished runs are kept and not repeated.")
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Write TensorBoard's events to this folder, in a folder for each run.", valueName: "dir"),
    completion: .directory)
  var tensorboard: String?

  @Flag(help: "Print compare.json instead of the table.")
  var json = false

  @Flag(help: "Print compare.csv instead of the table, a line for each figure of each run.")
  var csv = false

  func validate() throws {
    guard !(json && csv) else { throw ValidationError("--json and --csv exclude each other") }
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
          let comparison = try PlanComparison(settings, observer: progress.note)
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
        csv
          ? report.csv
          : json ? escapedJSON(report.json()) : ComparisonTable.text(of: report, columns: columns),
        terminator: "")
      if !json && !csv {
        try StandardOutput.write(
          "\nreport: \(settings.out.appendingPathComponent("compare.html").relativePath)")
      }
      try Self.fail(report)
    }
  }

  private func settings() throws -> PlanComparison.Settings {
    let (folder, file) = (planFolder(plan), plan)
    var plan = try readTrainingPlan(file)
    // Each run has a separate folder with its plan file, so that relative paths would not resolve.
    for file in [\Plan.initial, \Plan.method.stageEnd.model] {
      plan[keyPath: file] = plan[keyPath: file].map { URL(fileURLWithPath: $0, relativeTo: folder).path }
    }
    let cores = cores ?? ProcessInfo.processInfo.activeProcessorCount
    do {
      var options = RunOptions()
      (options.clients, options.partition) = (clients, try Partition(parsing: partition))
      var settings = PlanComparison.Settings(
        plan: plan, strategies: strategies, objectives: objectives ?? [plan.method.objective],
        seeds: seeds ?? [plan.seed], options: options, data: try DataSpec(parsing: data),
        testData: try DataSpec(parsing: testData), out: URL(fileURLWithPath: out, isDirectory: true),
        cores: cores, threads: min(threads, cores),
        executable: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
        command: CompareList.command(CommandLine.arguments))
      settings.source = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) }
      settings.axes = try axes(&settings)
      settings.reference = try against.map { text throws(ComparisonError) in
        try ComparisonReference(parsing: text)
      }
      settings.centralised = !noCentralised
      settings.fineTune = fineTune
      settings.probeEvery = probeEvery ?? max(1, plan.mostRounds / 10)
      settings.memory =
        memory ?? ProcessMemory.free.map { ByteCount(bytes: max(1, $0 / 4 * 3)) } ?? settings.memory
      settings.analysis = layers.analysis
      settings.resumes = resume
      settings.events = tensorboard.map { URL(fileURLWithPath: $0, isDirectory: true) }
      return settings
    } catch let error as ComparisonError {
      throw CommandFailure(.usage, error.description)
    } catch {
      throw CommandFailure(.data, "\(error)")
    }
  }

  /// Returns the varied settings. Strategies and losses, which have options of their own, are set in `settings`.
  private func axes(_ settings: inout PlanComparison.Settings) throws -> [ComparisonAxis] {
    var axes: [ComparisonAxis] = []
    for text in vary {
      let axis = try ComparisonAxis(parsing: text)
      switch axis.name {
      case "strategy", "method.strategy":
        settings.strategies = try CompareList.strategies(axis.values.joined(separator: ","))
      case "objective", "method.objective":
        settings.objectives = try CompareList.losses(axis.values.joined(separator: ","))
      default:
        guard !axes.contains(where: { $0.name == axis.name }) else {
          throw ComparisonError.axis("--vary \(axis.name) is given twice")
        }
        axes.append(axis)
      }
    }
    return axes
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
    case ComparisonError.axis(let reason): CommandFailure(.usage, reason)
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

  @Sendable static func memory(_ text: String) throws -> ByteCount {
    guard let memory = ByteCount(text) else {
      throw ValidationError("'\(text)' is not a whole number with a unit, such as 4GB")
    }
    return memory
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
