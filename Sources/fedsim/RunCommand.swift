import ArgumentParser
import Client
import Commands
import Datasets
import Federation
import Foundation
import Server
import Simulation
import Support
import Synchronization
import Wire

struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Runs a plan's federation over loopback sockets and evaluates the encoder.",
    discussion: """
      Server and clients are those of fedserver and fedclient; the clients' trainings share the machine's cores. \
      Writes summary.json, encoder.safetensors (timm's names), report.txt, metrics.csv (a line for each figure) and \
      strata.sqlite to DIR. 'fedserver report' writes strata.sqlite as a page. For example:

        fedsim run plan.yaml --data shapes:4000 --test-data shapes:1000 --out mine

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "The number of clients, 1 to 10000.")
  var clients: Int = 4

  @Option(help: ArgumentHelp("The clients' data.", valueName: "spec"))
  var data: String

  @Option(
    help: ArgumentHelp(
      "Labelled data for the evaluation, of a graph its test nodes. (default: no evaluation)",
      valueName: "spec"))
  var testData: String?

  @Option(
    help: ArgumentHelp(
      "Epochs of fine-tuning in the evaluation; 0: no fine-tuning.", valueName: "epochs"))
  var fineTune: Int = 0

  @Option(
    help:
      "The partition of the data: even, dirichlet:BETA (by label; a smaller BETA is more uneven), shards:K (K classes a client), sorted:K (K shards of the data sorted by label), quantity:BETA (other sizes), noise:SIGMA (other features) or, of a graph, community ('fedsim partition').",
    completion: .list(Partition.examples))
  var partition: String = "even"

  @Option(
    help: ArgumentHelp("The folder for the results.", valueName: "dir"), completion: .directory
  )
  var out: String

  @Option(help: "Cores that the trainings share. (default: all)")
  var cores: Int?

  @Option(help: "Threads of one training, 1 to 256.")
  var threads: Int = 1

  @Option(
    help: ArgumentHelp(
      "The probability, 0 to below 1, that a client declines a round.", valueName: "chance"))
  var dropout: Double = 0

  @Option(
    help: ArgumentHelp(
      "The clients' connections: RATE[,DELAY[,LOSS%]], such as 1mbit,80ms,1% (docs/links.md).",
      valueName: "link"))
  var link: String?

  @Option(
    help: ArgumentHelp(
      "Rounds from one probe of the encoder to the next; 0: only at the end.", valueName: "rounds"))
  var probeEvery: Int = 0

  @OptionGroup var layers: AnalysisOptions

  @Flag(
    help: "Fail if a file is broken, instead of leaving it out; all files are read at the start.")
  var strict = false

  @Flag(help: "Replace the results of an earlier run in DIR.")
  var overwrite = false

  @Flag(help: "Continue the run in DIR that was stopped or killed; begin one if there is none.")
  var resume = false

  @Option(
    help: ArgumentHelp("Write TensorBoard's events to a new file in this folder.", valueName: "dir"),
    completion: .directory)
  var tensorboard: String?

  @Flag(help: "Print summary.json instead of the table.")
  var json = false

  @Flag(help: "Print metrics.csv instead of the table.")
  var csv = false

  func validate() throws {
    guard !(json && csv) else { throw ValidationError("--json and --csv exclude each other") }
    guard !(overwrite && resume) else { throw ValidationError("--overwrite and --resume exclude each other") }
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
    guard layers.analyse == nil || testData != nil else {
      throw ValidationError("--analyse needs --test-data")
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let folder = try RunFolder(out, overwrites: overwrite, resumes: resume)
      let settings = try settings(in: folder)
      let progress = RunProgress(settings.plan)
      let summary = try await resultUnlessStopped(
        "fedsim", on: progress.terminal, last: folder.farewell
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
      if csv { return try StandardOutput.write(folder.text(of: "metrics.csv"), terminator: "") }
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
      settings.analysis = layers.analysis
      settings.link = try link.map { text throws(LinkShapeError) in try LinkShape(parsing: text) }
      settings.isStrict = strict
      settings.resumes = resume
      settings.events = tensorboard.map { URL(fileURLWithPath: $0, isDirectory: true) }
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
    case ExperimentError.folder(let reason): CommandFailure(.store, reason)
    case let error as ExperimentError: CommandFailure(.plan, error.description)
    case let error as StoreError: CommandFailure(.store, error.description)
    case ServerError.calibrationData(let reason): CommandFailure(.data, "calibration data: \(reason)")
    case ServerError.initial, ServerError.controller: CommandFailure(.data, "\(error)")
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

/// The folder of a run and the files that a run writes to it.
final class RunFolder: Sendable {
  private static let names =
    ["", "-wal", "-shm", "-spool"].map { "strata.sqlite" + $0 } + [
      "run.json", "link.json", "summary.json", "report.txt", "metrics.csv", "encoder.safetensors", "clients",
    ]

  let url: URL
  /// The path as typed.
  private let path: String
  private let overwrites: Bool
  /// Whether this run uses the folder.
  private let isTaken = Mutex(false)

  /// Throws ``CommandFailure`` if the folder has files of an earlier run, which are neither mixed with this run's nor
  /// deleted without `--overwrite`.
  init(_ path: String, overwrites: Bool, resumes: Bool) throws(CommandFailure) {
    (self.path, self.overwrites) = (path, overwrites)
    url = URL(fileURLWithPath: path, isDirectory: true)
    guard overwrites || resumes || files.allSatisfy({ !FileManager.default.fileExists(atPath: $0) }) else {
      throw CommandFailure(
        .store, "\(path) holds an earlier run; name another --out, or add --resume or --overwrite")
    }
  }

  private var files: [String] { Self.names.map { url.appendingPathComponent($0).path } }

  /// Creates the folder, and removes the files of an earlier run that is replaced. Throws ``CommandFailure``.
  func take() throws(CommandFailure) {
    if overwrites {
      for file in files where FileManager.default.fileExists(atPath: file) {
        do { try FileManager.default.removeItem(atPath: file) } catch {
          throw CommandFailure(.store, "\(file): \(error.systemWords)")
        }
      }
    }
    do { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) } catch {
      throw CommandFailure(.store, "\(path): \(error.systemWords)")
    }
    isTaken.withLock { $0 = true }
  }

  /// Returns the text of a file that the run has written. Throws ``CommandFailure``.
  func text(of name: String) throws(CommandFailure) -> String {
    let file = url.appendingPathComponent(name)
    guard let data = FileManager.default.contents(atPath: file.path) else {
      throw CommandFailure(.store, "\(file.relativePath) cannot be read")
    }
    return String(decoding: data, as: UTF8.self)
  }

  /// The last line of a run that was stopped.
  var farewell: String {
    isTaken.withLock { $0 } ? "stopped; the same command with --resume continues" : "stopped"
  }
}

/// The output of a run: a line per committed round and, on a terminal, bars for the whole run and for the current
/// trainings.
final class RunProgress: Sendable {
  private struct State {
    var committed = 0
    var admitted = 0
    var trainings: [String: (step: Int, steps: Int)] = [:]
    var now = "waiting for the clients"
  }

  private let plan: Plan
  let terminal = Terminal()
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  init(_ plan: Plan) { self.plan = plan }

  func note(_ event: Experiment.Event) {
    switch event {
    case .server(let event): note(event)
    case .client(let name, let event): note(name, event)
    case .evaluating: set { $0.now = "evaluating the encoder" }
    case .broken(let line): terminal.line(line)
    case .resuming(let rounds):
      set { $0.committed = rounds }
      terminal.line(
        "resumed after \(rounds) of \(plan.curriculum.isOpen ? "at most " : "")\(counted(plan.mostRounds, "round"))"
      )
    case .advice(let finding): terminal.line("warning: \(finding.line)")
    case .fineTuning(let step, let steps): set { $0.now = "fine-tuning, step \(step) of \(steps)" }
    }
    draw()
  }

  func end() { terminal.clear() }

  private func note(_ event: ServerEvent) {
    switch event {
    case .assigned(let key, _): set { $0.now = "\(key)" }
    case .admitted: set { $0.admitted += 1 }
    case .calibrating(let key, let step, let steps):
      set { $0.now = "step \(step) of \(steps), calibration of \(key)" }
    case .declined: set { $0.admitted += 1 }
    case .rejected(let key, let client, let rejection):
      terminal.line("\(key): the update of \(client) is rejected, \(rejection.explanation)")
    case .abandoned(let key, let reason):
      set { $0.admitted = 0 }
      terminal.line("\(key) is abandoned: \(reason)")
    case .grown(let key, let images, let batch):
      terminal.line(
        "the encoder ends with stage \(key.stage - 1): \(images) images remain for the next, fewer than a batch of \(batch)"
      )
    case .committed(let round): commit(round)
    default: break
    }
  }

  private func commit(_ round: RoundSummary) {
    set {
      $0.committed += 1
      $0.admitted = 0
    }
    terminal.line(round.line(of: plan))
  }

  private func note(_ name: String, _ event: ClientEvent) {
    switch event {
    case .training(_, let step, let steps, _): set { $0.trainings[name] = (step, steps) }
    case .trained, .dropped, .disconnected: set { $0.trainings[name] = nil }
    default: break
    }
  }

  private func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

  private func draw() {
    terminal.draw { columns in
      let state = state.withLock { $0 }
      let open = state.trainings.values.reduce(0.0) { $0 + Double($1.step) / Double(max($1.steps, 1)) }
      let round = min((Double(state.admitted) + open) / Double(plan.round.cohort), 1)
      let whole = ProgressLine(
        done: Double(state.committed) + round, total: Double(plan.mostRounds), unit: "rounds",
        elapsed: (ContinuousClock.now - start).seconds, text: state.now)
      var lines = [whole.bar(columns: columns)]
      for (name, progress) in state.trainings.sorted(by: { $0.key.precedesNaturally($1.key) }).prefix(8) {
        lines.append(Self.line(name, progress.step, of: progress.steps, columns: columns))
      }
      return lines
    }
  }

  /// Returns the line of a training. If space is short, the bar is shortened or omitted, but not the step count.
  private static func line(_ name: String, _ step: Int, of steps: Int, columns: Int) -> String {
    let count = "step \(step) of \(steps)"
    let room = columns - 1 - "  \(name)  \(count)".count
    let bar = room < 4 ? "" : Terminal.bar(Double(step) / Double(max(steps, 1)), width: min(room, 16)) + " "
    return "  \(name) \(bar)\(count)"
  }
}
