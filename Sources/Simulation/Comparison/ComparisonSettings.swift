import Datasets
import Engine
import Federation
import Foundation
import Support

extension PlanComparison {
  package struct Settings: Sendable {
    package var plan: Plan
    /// The YAML of the plan's file, in which varied fields are set; nil for that of ``plan``.
    package var source: String?
    package var strategies: [Strategy]
    package var objectives: [ObjectiveKind]
    /// Whether the baseline is run: one client with all data.
    package var centralised = true
    /// The other settings that are varied, all values of one with all values of the others.
    package var axes: [ComparisonAxis] = []
    package var seeds: [UInt64]
    /// The options of the runs that are not varied.
    package var options: RunOptions
    package var data: DataSpec
    package var testData: DataSpec
    package var out: URL
    /// What each variant is compared with; nil for end-to-end training, or else the first value of the first axis.
    package var reference: ComparisonReference?
    /// The epochs of fine-tuning at the end of a run; 0 for none.
    package var fineTune = 0
    /// The number of rounds between probes; 0 for a probe at the end only.
    package var probeEvery = 0
    /// The analysis of layers in each run; nil for none.
    package var analysis: Experiment.Analysis?
    /// The cores that all runs share, and the threads of one training.
    package var cores, threads: Int
    /// The memory that runs at the same time may take together.
    package var memory = ByteCount(bytes: .max)
    /// Whether an earlier comparison in the folder is continued.
    package var resumes = false
    /// The folder for TensorBoard's events, with a folder for each run; nil for none.
    package var events: URL?
    /// The path of this program.
    package var executable: URL
    /// The command as typed, for the report.
    package var command: String

    package init(
      plan: Plan, strategies: [Strategy], objectives: [ObjectiveKind], seeds: [UInt64], options: RunOptions,
      data: DataSpec, testData: DataSpec, out: URL, cores: Int, threads: Int,
      executable: URL, command: String
    ) {
      (self.plan, self.strategies, self.objectives, self.seeds) = (plan, strategies, objectives, seeds)
      (self.options, self.data, self.testData) = (options, data, testData)
      (self.out, self.cores, self.threads) = (out, cores, threads)
      (self.executable, self.command) = (executable, command)
    }
  }
}

extension PlanComparison.Settings {
  /// The variants in the order of the table: by loss, the baseline last.
  var variants: [ComparisonVariant] {
    let settings = axes.reduce([[]]) { rows, axis in
      rows.flatMap { row in axis.values.map { row + [ComparisonSetting(axis.name, $0)] } }
    }
    let trainings = strategies.map { ComparisonVariant.Training($0) } + (centralised ? [.centralised] : [])
    var known: Set<ComparisonVariant> = []
    return objectives.flatMap { objective in
      trainings.flatMap { training in settings.map { ComparisonVariant(training, objective, $0) } }
    }.filter { known.insert($0).inserted }
  }

  /// What each variant is compared with.
  var against: ComparisonReference {
    if let reference { return reference }
    guard let axis = axes.first, !strategies.contains(.endToEnd) else { return .endToEnd }
    return ComparisonReference([ComparisonSetting(axis.name, axis.values[0])])
  }

  /// Returns the options of a variant's runs.
  func options(of variant: ComparisonVariant) throws(ComparisonError) -> RunOptions {
    var options = options
    for setting in variant.settings {
      guard let option = ComparisonAxis.Option(rawValue: setting.name) else { continue }
      options = try options.set(option, setting.value)
    }
    return options
  }

  /// Returns the plan of a variant's run and its options. Throws if a varied value, or the plan with it, is invalid: a
  /// plan can be valid with one strategy and invalid with another.
  func plan(
    of variant: ComparisonVariant, seed: UInt64
  ) throws(ComparisonError) -> (plan: Plan, options: RunOptions) {
    let options = try options(of: variant)
    let fields = variant.settings.filter { ComparisonAxis.Option(rawValue: $0.name) == nil }
    var base = plan
    if !fields.isEmpty {
      do throws(PlanError) {
        base = try Plan(
          yaml: source ?? plan.yaml(), file: "", setting: fields.map { ($0.name, $0.value) })
      } catch {
        let list = fields.map(\.description).joined(separator: ", ")
        throw .plan(
          "the plan with \(list): \(error.problems.map { "\($0.field): \($0.reason)" }.first ?? "")")
      }
      // The file of a run's plan is in another folder, to which paths would be relative.
      if variant.value(of: "initial") == nil { base.initial = plan.initial }
      if variant.value(of: "method.stageEnd.model") == nil {
        base.method.stageEnd.model = plan.method.stageEnd.model
      }
    }
    if !(variant.training == .centralised), base.round.cohort > options.clients {
      let clients = counted(options.clients, "client")
      let list = variant.settings.isEmpty ? "" : " with \(variant.label)"
      throw .plan(
        "the plan's cohort is \(base.round.cohort), but there \(options.clients == 1 ? "is" : "are") \(clients)\(list)"
      )
    }
    let plan = variant.plan(of: base, seed: seed, clients: options.clients)
    if let problem = plan.problems.first {
      throw .plan("the plan with \(variant.label): \(problem.field): \(problem.reason)")
    }
    return (plan, options)
  }

  /// Returns the options of `fedsim run` that determine a variant's encoder.
  func arguments(_ variant: ComparisonVariant, _ options: RunOptions) -> [String] {
    var options = options
    if variant.training == .centralised {
      // A single client has all data, whatever the partition.
      (options.clients, options.partition, options.dropout, options.link) = (1, .even, 0, nil)
    }
    return options.arguments + ["--data", "\(options.data ?? data)", "--test-data", "\(testData)"]
  }

  /// Returns the other options of `fedsim run`, which do not determine the encoder.
  func freeArguments(_ cell: ComparisonCell, cores: Int) -> [String] {
    var arguments = ["--cores", "\(cores)", "--threads", "\(cell.variant.threads(threads, cores: cores))"]
    if let events { arguments += ["--tensorboard", events.appendingPathComponent(cell.name).path] }
    if fineTune > 0 { arguments += ["--fine-tune", "\(fineTune)"] }
    if probeEvery > 0 { arguments += ["--probe-every", "\(probeEvery)"] }
    arguments += analysis?.options ?? []
    return arguments
  }
}

/// What a comparison's folder holds, in its settings.json: the settings that all its runs share, and the runs of all
/// calls.
struct ComparisonRecord: Sendable, Codable {
  /// The settings that a resumed comparison must share. The baseline's are the same as those of the other runs.
  let shared: RunRecord.Training
  let testData: String
  private(set) var variants: [ComparisonVariant]
  private(set) var seeds: [UInt64]

  private static let name = "settings.json"

  init(_ settings: PlanComparison.Settings, _ variants: [ComparisonVariant]) {
    var plan = settings.plan
    // The runs' plans differ in these.
    (plan.seed, plan.method.strategy) = (0, .layerWise)
    shared = RunRecord.Training(
      plan: plan.yaml(), clients: settings.options.clients, data: settings.data.description,
      partition: settings.options.partition.description, dropout: settings.options.dropout,
      link: settings.options.link)
    testData = settings.testData.description
    (self.variants, seeds) = (variants, settings.seeds)
  }

  /// Reads the record of a folder; nil if it has none.
  init?(in folder: URL) {
    guard let data = try? Data(contentsOf: folder.appendingPathComponent(Self.name)),
      let record = try? JSON.read(ComparisonRecord.self, from: data)
    else { return nil }
    self = record
  }

  func write(to folder: URL) throws {
    try JSON.stored(self).write(to: folder.appendingPathComponent(Self.name), options: .atomic)
  }

  /// Returns the record with the variants and seeds of an earlier call added. Throws ``ComparisonError/folder(_:)`` if its
  /// other settings differ.
  func joined(with earlier: ComparisonRecord?) throws(ComparisonError) -> ComparisonRecord {
    guard let earlier else { return self }
    var differences = shared.differences(from: earlier.shared)
    if testData != earlier.testData {
      differences.append("--test-data: \(earlier.testData) there, \(testData) here")
    }
    guard differences.isEmpty else {
      throw .folder("the comparison in the folder has other settings: \(differences.joined(separator: "; "))")
    }
    var record = self
    record.variants = earlier.variants + variants.filter { !earlier.variants.contains($0) }
    record.seeds = earlier.seeds + seeds.filter { !earlier.seeds.contains($0) }
    return record
  }
}
