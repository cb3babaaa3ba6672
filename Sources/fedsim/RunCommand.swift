import ArgumentParser
import Client
import Commands
import Datasets
import Federation
import Foundation
import Server
import Simulation
import Wire

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a plan's federation over loopback sockets and evaluates the encoder.",
    discussion: """
      Server and clients are those of fedserver and fedclient; the clients' trainings wait in a queue for the \
      machine's cores. DIR gets summary.json, encoder.safetensors (timm's names), report.txt and strata.sqlite, which \
      'fedserver report' makes a page of. For example:

        fedsim run plan.yaml --data shapes:4000 --test-data shapes:1000 --out mine

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "How many clients take part, 1 to 10000.")
  var clients: Int = 4

  @Option(help: ArgumentHelp("The clients' images.", valueName: "spec"))
  var data: String

  @Option(
    help: ArgumentHelp("Labelled images for the evaluation. (default: no evaluation)", valueName: "spec"))
  var testData: String?

  @Option(
    help: ArgumentHelp(
      "Fine-tune as well in the evaluation, for so many epochs; 0: not.", valueName: "epochs"))
  var fineTune: Int = 0

  @Option(
    help:
      "How the images are shared out: even, dirichlet:BETA (over labels, the smaller the more uneven) or shards:K (K shards of the images sorted by label a client, about K classes at most).",
    completion: .list(["even", "dirichlet:0.5", "shards:2"]))
  var partition: String = "even"

  @Option(
    help: ArgumentHelp("The folder for what the run leaves behind.", valueName: "dir"), completion: .directory
  )
  var out: String

  @Option(help: "Cores that the trainings share. (default: all)")
  var cores: Int?

  @Option(help: "Threads of one training, 1 to 256.")
  var threads: Int = 1

  @Option(
    help: ArgumentHelp(
      "The chance, 0 to 1, that a client declines a round that it is drawn for.", valueName: "chance"))
  var dropout: Double = 0

  @Option(
    help: ArgumentHelp(
      "The clients' connections: RATE[,DELAY[,LOSS%]], such as 1mbit,80ms,1% (docs/links.md).",
      valueName: "link"))
  var link: String?

  @Option(
    help: ArgumentHelp(
      "Probe the encoder after every so many rounds too; 0: only at the end.", valueName: "rounds"))
  var probeEvery: Int = 0

  @Flag(
    help: "Reject images of which a file is broken, instead of leaving it out; all are read at the start.")
  var strict = false

  @Flag(help: "Replace what an earlier run left in DIR.")
  var overwrite = false

  @Flag(help: "Print what summary.json holds instead of the table.")
  var json = false

  func validate() throws {
    guard (1...10_000).contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
    guard (0..<1).contains(dropout) else { throw ValidationError("--dropout is 0 to below 1") }
    guard (0...10_000).contains(fineTune) else { throw ValidationError("--fine-tune is 0 to 10000") }
    guard fineTune == 0 || testData != nil else { throw ValidationError("--fine-tune needs --test-data") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
    guard cores.map((1...1024).contains) ?? true else { throw ValidationError("--cores is 1 to 1024") }
    guard (0...1_000_000).contains(probeEvery) else {
      throw ValidationError("--probe-every is 0 to 1000000")
    }
    guard probeEvery == 0 || testData != nil else {
      throw ValidationError("--probe-every needs --test-data")
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let folder = try RunFolder(out, overwrites: overwrite)
      let settings = try settings(in: folder)
      let progress = RunProgress(settings.plan)
      let summary = try await resultUnlessStopped(
        "fedsim", on: progress.terminal, last: "stopped; nothing of the run is kept", undo: folder.giveUp
      ) {
        do {
          return try await Experiment(settings, observer: progress.note).run(preparing: folder.take)
        } catch {
          progress.end()
          throw Self.failure(error)
        }
      }
      progress.end()
      if json { return try StandardOutput.write(Commands.json(summary)) }
      try StandardOutput.write(summary.table, terminator: "")
      try StandardOutput.write(
        "report           \(settings.out.appendingPathComponent("summary.json").relativePath)")
    }
  }

  private func settings(in folder: RunFolder) throws -> Experiment.Settings {
    do {
      let cores = cores ?? ProcessInfo.processInfo.activeProcessorCount
      var settings = Experiment.Settings(
        plan: try readPlan(plan), clients: clients, data: try DataSpec(parsing: data),
        testData: try testData.map { text throws(DatasetError) in try DataSpec(parsing: text) },
        fineTuningEpochs: fineTune, partition: try Partition(parsing: partition),
        out: folder.url, cores: cores, threads: min(threads, cores))
      settings.planFolder = planFolder(plan)
      settings.dropout = dropout
      settings.probeEvery = probeEvery
      settings.link = try link.map { text throws(LinkShapeError) in try LinkShape(parsing: text) }
      settings.isStrict = strict
      return settings
    } catch let error as DatasetError {
      throw CommandFailure(.data, error.description)
    } catch let error as LinkShapeError {
      throw CommandFailure(.usage, error.description)
    }
  }

  private static func failure(_ error: any Error) -> any Error {
    switch error {
    case let error as DatasetError: CommandFailure(.data, error.description)
    case let error as ExperimentError: CommandFailure(.plan, error.description)
    case let error as StoreError: CommandFailure(.store, error.description)
    case ServerError.calibrationData(let reason): CommandFailure(.data, "calibration data: \(reason)")
    case ServerError.initial: CommandFailure(.data, "\(error)")
    case ServerError.diverged: CommandFailure(.diverged, "\(error)")
    case let error as EncoderEvaluation.NotFinite: CommandFailure(.diverged, "\(error)")
    case let error as ServerError: CommandFailure(.gaveUp, error.description)
    case ClientError.memory(let reason): CommandFailure(.memory, reason)
    case let error as ClientError: CommandFailure(.turnedAway, error.description)
    case let error as WireError: CommandFailure(.address, error.description)
    case is CommandFailure: error
    default: CommandFailure(.store, error.systemWords)
    }
  }
}
