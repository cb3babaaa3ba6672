import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Simulation

struct CompareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Runs a plan under several strategies on the same images and seeds, and compares them.",
    usage: """
      fedsim compare [<options>] <plan> --out <dir>
                            --data <spec> --test-data <spec>
      """,
    discussion: """
      Every run is a 'fedsim run' in a process of its own, in DIR/STRATEGY-SSL-SEED; the memory of a client is \
      measured by 'fedsim memory'. A centralised run, one client with all images, is added as a baseline. DIR gets \
      compare.txt, compare.json and compare.html. A run that fails does not stop the others: the table says so, and \
      the exit code is that of the first. For example:

        fedsim compare plan.yaml --data shapes:4000 --test-data shapes:1000 --out all

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(
    help: "Which strategies, with commas between. (default: layer-wise,progressive,end-to-end)",
    completion: .list(Strategy.allCases.map(\.rawValue)), transform: CompareList.strategies)
  var strategies: [Strategy] = Strategy.allCases

  @Option(
    help: "Which losses of simclr, mocov3 and byol, with commas between. (default: the plan's)",
    completion: .list(SelfSupervision.allCases.map(\.rawValue)), transform: CompareList.losses)
  var ssl: [SelfSupervision]?

  @Option(
    help: ArgumentHelp("The folder for all that is left behind.", valueName: "dir"), completion: .directory)
  var out: String

  @Option(help: ArgumentHelp("The clients' images, as for run.", valueName: "spec"))
  var data: String

  @Option(help: ArgumentHelp("Labelled images for the evaluation.", valueName: "spec"))
  var testData: String

  @Option(help: "How many clients take part, 1 to 10000.")
  var clients: Int = 4

  @Option(
    help: "How the images are shared out: even, dirichlet:BETA or shards:K.",
    completion: .list(["even", "dirichlet:0.5", "shards:2"]))
  var partition: String = "even"

  @Option(help: "Seeds, with commas between. (default: the plan's)", transform: CompareList.seeds)
  var seeds: [UInt64]?

  @Option(help: ArgumentHelp("Fine-tune each encoder for so many epochs; 0: not.", valueName: "epochs"))
  var fineTune: Int = 0

  @Option(
    help: ArgumentHelp(
      "Probe after every so many rounds; 0: only at the end. (default: a tenth of them)", valueName: "rounds")
  )
  var probeEvery: Int?

  @Option(help: "Cores that the trainings share. (default: all)")
  var cores: Int?

  @Option(help: "Threads of one training, 1 to 256.")
  var threads: Int = 1

  @Flag(help: "Go on with an earlier comparison in DIR: what is finished is not run again.")
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
        "fedsim", on: progress.terminal, last: "stopped; the same command with --resume goes on"
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
    var plan = try readPlan(plan)
    // Every run has a plan's file of its own, in a folder of its own.
    plan.initial = plan.initial.map { URL(fileURLWithPath: $0, relativeTo: folder).path }
    let cores = cores ?? ProcessInfo.processInfo.activeProcessorCount
    do {
      var settings = StrategyComparison.Settings(
        plan: plan, strategies: strategies, ssl: ssl ?? [plan.method.ssl], seeds: seeds ?? [plan.seed],
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

  /// The exit code of a comparison is that of the first run that failed.
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
