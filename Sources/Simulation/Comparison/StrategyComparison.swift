import Datasets
import Engine
import Federation
import Foundation
import Support

/// Runs variants of a plan on the same images and seeds, each run in a separate process, and collects their figures.
package struct StrategyComparison: Sendable {
  package enum Event: Sendable {
    /// A run begins, the `index`-th of `of`. If `isKnown`, it was finished earlier.
    case run(ComparisonCell, index: Int, of: Int, isKnown: Bool)
    /// A line of a run's process.
    case line(String)
    case measuring(ComparisonVariant)
    case failed(ComparisonReport.Failure)
  }

  private let settings: Settings
  private let observer: @Sendable (Event) -> Void
  private let process: OwnProcess

  /// The variants in the order of the table: by loss, the baseline last.
  package let variants: [ComparisonVariant]
  /// The runs in order: by seed, so that the first table is complete soon.
  package let cells: [ComparisonCell]

  /// Checks the settings before anything runs. Throws ``ComparisonError``.
  package init(_ settings: Settings, observer: @escaping @Sendable (Event) -> Void) throws(ComparisonError) {
    (self.settings, self.observer, process) = (settings, observer, OwnProcess(settings.executable))
    let trainings = settings.strategies.map { ComparisonVariant.Training($0) } + [.centralised]
    variants = settings.objectives.flatMap { objective in trainings.map { ComparisonVariant($0, objective) } }
    guard settings.plan.round.cohort <= settings.clients else {
      throw .plan(
        "the plan's cohort is \(settings.plan.round.cohort), but there \(settings.clients == 1 ? "is" : "are") \(counted(settings.clients, "client"))"
      )
    }
    var cells: [ComparisonCell] = []
    for seed in settings.seeds {
      for variant in variants {
        let plan = variant.plan(of: settings.plan, seed: seed, clients: settings.clients)
        try Self.check(plan, variant)
        cells.append(
          ComparisonCell(
            variant, seed: seed, plan: plan, options: settings.options(variant), in: settings.out))
      }
    }
    self.cells = cells
  }

  /// Checks a variant's plan, since a plan can be valid with one strategy and invalid with another.
  private static func check(_ plan: Plan, _ variant: ComparisonVariant) throws(ComparisonError) {
    if let problem = plan.problems.first {
      throw .plan("the plan with \(variant.label): \(problem.field): \(problem.reason)")
    }
  }

  /// Runs what is not finished yet, and measures. A failed run is a line of the report. If the task is cancelled, kills
  /// the current run and throws a `CancellationError`.
  package func run() async throws -> ComparisonReport {
    let images = try images()
    try prepareFolder()
    var runs: [ComparisonVariant: [Summary]] = [:]
    var failures: [ComparisonVariant: [ComparisonReport.Failure]] = [:]
    for (index, cell) in cells.enumerated() {
      do {
        runs[cell.variant, default: []].append(try await run(cell, index: index + 1))
      } catch let failure as ComparisonReport.Failure {
        observer(.failed(failure))
        failures[cell.variant, default: []].append(failure)
      }
    }
    var rows: [ComparisonReport.Row] = []
    for variant in variants {
      var memory: [StageMemory.Result] = []
      do {
        memory = try await measure(variant, images: images)
      } catch let failure as ComparisonReport.Failure {
        observer(.failed(failure))
        failures[variant, default: []].append(failure)
      }
      let plan = variant.plan(of: settings.plan, seed: settings.seeds[0], clients: settings.clients)
      rows.append(
        ComparisonReport.Row(
          variant, plan: plan, runs: runs[variant] ?? [], memory: memory, failures: failures[variant] ?? []))
    }
    return ComparisonReport(
      name: settings.plan.name, command: settings.command, plan: settings.plan.yaml(),
      clients: settings.clients, data: settings.data.description, testData: settings.testData.description,
      partition: settings.partition.description, seeds: settings.seeds, rows: rows)
  }

  /// Returns the number of all images, and of the largest client's. Rejects invalid data before a process is started.
  private func images() throws -> (all: Int, most: Int) {
    let input = settings.plan.encoder.input
    let train = settings.plan.trainingPart(of: try settings.data.dataset(role: .train, for: input))
    try settings.testData.dataset(role: .test, for: input).requireClasses(of: train)
    var most = 0
    for seed in settings.seeds {
      let parts = try settings.partition.split(train, clients: settings.clients, seed: seed)
      most = max(most, parts.map(\.count).max() ?? 0)
    }
    return (train.count, most)
  }

  /// Prepares the folder. An earlier comparison is neither mixed with this one nor deleted.
  private func prepareFolder() throws {
    let names = ["compare.json", "compare.txt", "compare.html", "memory"] + cells.map(\.name)
    let taken = names.contains {
      FileManager.default.fileExists(atPath: settings.out.appendingPathComponent($0).path)
    }
    guard settings.resumes || !taken else {
      throw ComparisonError.folder(
        "\(settings.out.relativePath) holds an earlier comparison; name another --out, or add --resume")
    }
    do {
      try FileManager.default.createDirectory(at: settings.out, withIntermediateDirectories: true)
    } catch {
      throw ComparisonError.folder("\(settings.out.relativePath): \(error.systemWords)")
    }
  }

  private func run(_ cell: ComparisonCell, index: Int) async throws -> Summary {
    let known = cell.record
    observer(.run(cell, index: index, of: cells.count, isKnown: known != nil))
    if let known { return known }
    let outcome = try await process.run(try cell.prepare(), keepingOutput: false) { [observer] line in
      observer(.line(line))
    }
    guard outcome.code == 0 else {
      throw ComparisonReport.Failure(name: cell.name, code: outcome.code, reason: outcome.reason)
    }
    try cell.finish()
    guard let record = cell.record else {
      throw ComparisonReport.Failure(name: cell.name, code: 1, reason: "its summary.json cannot be read")
    }
    return record
  }

  private func measure(
    _ variant: ComparisonVariant, images: (all: Int, most: Int)
  ) async throws -> [StageMemory.Result] {
    let memory = ClientMemory(
      plan: variant.plan(of: settings.plan, seed: settings.seeds[0], clients: settings.clients),
      images: variant.training == .centralised ? images.all : images.most,
      threads: variant.threads(settings.threads, cores: settings.cores),
      file: settings.out.appendingPathComponent("memory/\(variant.name).json"))
    if let known = memory.known { return known }
    observer(.measuring(variant))
    do {
      return try await memory.measure(process)
    } catch let failure as ClientMemory.Failure {
      throw ComparisonReport.Failure(
        name: "\(variant.name) memory of stage \(failure.stage)", code: failure.code, reason: failure.reason)
    }
  }
}

/// The reason, in one line, why a comparison cannot run.
package enum ComparisonError: Error, Sendable, CustomStringConvertible {
  case plan(String)
  case folder(String)

  package var description: String {
    switch self {
    case .plan(let reason), .folder(let reason): reason
    }
  }
}

extension StrategyComparison {
  package struct Settings: Sendable {
    package var plan: Plan
    package var strategies: [Strategy]
    package var objectives: [ObjectiveKind]
    package var seeds: [UInt64]
    package var clients: Int
    package var data: DataSpec
    package var testData: DataSpec
    package var partition: Partition
    package var out: URL
    /// The epochs of fine-tuning at the end of a run; 0 for none.
    package var fineTune = 0
    /// The number of rounds between probes; 0 for a probe at the end only.
    package var probeEvery = 0
    /// The analysis of layers in each run; nil for none.
    package var analysis: Experiment.Analysis?
    package var cores: Int
    package var threads: Int
    /// Whether finished runs are kept.
    package var resumes = false
    /// The path of this program.
    package var executable: URL
    /// The command as typed, for the report.
    package var command: String

    package init(
      plan: Plan, strategies: [Strategy], objectives: [ObjectiveKind], seeds: [UInt64], clients: Int,
      data: DataSpec, testData: DataSpec, partition: Partition, out: URL, cores: Int, threads: Int,
      executable: URL, command: String
    ) {
      (self.plan, self.strategies, self.objectives, self.seeds) = (plan, strategies, objectives, seeds)
      (self.clients, self.data, self.testData, self.partition) = (clients, data, testData, partition)
      (self.out, self.cores, self.threads) = (out, cores, threads)
      (self.executable, self.command) = (executable, command)
    }
  }
}

extension StrategyComparison.Settings {
  /// Returns the options of `fedsim run` for a variant, without the plan and the folder.
  func options(_ variant: ComparisonVariant) -> [String] {
    // A single client has all images, whatever the partition.
    let isAlone = variant.training == .centralised
    var options = [
      "--clients", "\(isAlone ? 1 : clients)", "--data", "\(data)", "--test-data", "\(testData)",
      "--partition", "\(isAlone ? .even : partition)", "--cores", "\(cores)", "--threads",
      "\(variant.threads(threads, cores: cores))",
    ]
    if fineTune > 0 { options += ["--fine-tune", "\(fineTune)"] }
    if probeEvery > 0 { options += ["--probe-every", "\(probeEvery)"] }
    options += analysis?.options ?? []
    return options
  }
}

/// One run of a comparison: a variant with a seed, in a separate folder.
package struct ComparisonCell: Sendable {
  package let variant: ComparisonVariant
  package let seed: UInt64
  package let plan: Plan
  /// The options of `fedsim run`, without the plan and the folder.
  package let options: [String]
  private let folder: URL

  package init(_ variant: ComparisonVariant, seed: UInt64, plan: Plan, options: [String], in folder: URL) {
    (self.variant, self.seed, self.plan, self.options) = (variant, seed, plan, options)
    self.folder = folder.appendingPathComponent("\(variant.name)-\(seed)", isDirectory: true)
  }

  package var name: String { "\(variant.name)-\(seed)" }

  private var planFile: URL { folder.appendingPathComponent("plan.yaml") }
  private var note: URL { folder.appendingPathComponent("cell.json") }

  /// The settings of a finished run. If they differ from those requested, the run is repeated.
  private struct Note: Codable, Equatable {
    let plan: String
    let options: [String]
  }

  /// The run's summary, if it finished with the same settings.
  package var record: Summary? {
    guard let data = try? Data(contentsOf: note), let old = try? JSON.read(Note.self, from: data),
      old == Note(plan: plan.yaml(), options: options)
    else { return nil }
    return Summary(folder: folder)
  }

  /// Prepares the folder with the plan. Returns the arguments of the run.
  func prepare() throws -> [String] {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if FileManager.default.fileExists(atPath: note.path) { try FileManager.default.removeItem(at: note) }
    try Data(plan.yaml().utf8).write(to: planFile)
    return ["run", planFile.path, "--out", folder.path, "--overwrite"] + options
  }

  /// Records that the run is finished; its files do not show this, since a summary may come from another plan.
  func finish() throws {
    try JSON.shown(Note(plan: plan.yaml(), options: options)).write(to: note, options: .atomic)
  }
}

/// A variant of the plan in a comparison: a strategy and a loss.
package struct ComparisonVariant: Sendable, Hashable, Codable {
  /// The training of a variant.
  package enum Training: String, Sendable, Codable, CaseIterable {
    case layerWise = "layer-wise"
    case progressive
    case endToEnd = "end-to-end"
    case headOnly = "head-only"
    /// The baseline without a federation: one client has all images and trains end to end.
    case centralised

    package init(_ strategy: Strategy) {
      switch strategy {
      case .layerWise: self = .layerWise
      case .progressive: self = .progressive
      case .endToEnd: self = .endToEnd
      case .headOnly: self = .headOnly
      }
    }

    package var strategy: Strategy {
      switch self {
      case .layerWise: .layerWise
      case .progressive: .progressive
      case .endToEnd, .centralised: .endToEnd
      case .headOnly: .headOnly
      }
    }
  }

  package let training: Training
  package let objective: ObjectiveKind

  private enum CodingKeys: String, CodingKey {
    case training = "strategy"
    case objective
  }

  package init(_ training: Training, _ objective: ObjectiveKind) {
    (self.training, self.objective) = (training, objective)
  }

  /// The name for folders, such as `layer-wise-simclr`.
  package var name: String { "\(training.rawValue)-\(objective.rawValue)" }
  /// The name for tables, such as `layer-wise, simclr`.
  package var label: String { "\(training.rawValue), \(objective.rawValue)" }

  /// Returns the plan of this variant, in a comparison with `clients` clients.
  package func plan(of base: Plan, seed: UInt64, clients: Int) -> Plan {
    var plan = base.with(training.strategy)
    (plan.seed, plan.method.objective) = (seed, objective)
    if objective == .classification { plan.method.alignment = 0 } else { plan.method.classification = nil }
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    guard training == .centralised else { return plan }
    (plan.round.cohort, plan.round.quorum, plan.round.minimumClients) = (1, 1, 1)
    // A single update cannot be trimmed, and a device's memory limit does not apply to a central machine.
    (plan.round.aggregation, plan.local.memory) = (.mean, nil)
    // The single client does the work of all clients, so it gets the time of all.
    let deadline = plan.round.deadline.milliseconds * clients
    plan.round.deadline = min(TimeSpan(milliseconds: deadline), PlanLimits.deadline)
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    return plan
  }

  /// Returns the threads of one training; the baseline's single client gets the cores that all clients share.
  func threads(_ threads: Int, cores: Int) -> Int {
    min(training == .centralised ? cores : threads, cores, 256)
  }
}
