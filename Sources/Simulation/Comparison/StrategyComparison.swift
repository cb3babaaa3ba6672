import Datasets
import Federation
import Foundation
import Support

/// Runs a plan in several variants on the same images and seeds, each run in a process of its own, and brings
/// their figures together.
package struct StrategyComparison: Sendable {
  package enum Event: Sendable {
    /// A run begins, the `index`-th of so many; `isKnown`: it is finished from an earlier time.
    case run(ComparisonCell, index: Int, of: Int, isKnown: Bool)
    /// What a run's process says.
    case line(String)
    case measuring(ComparisonVariant)
    case failed(ComparisonReport.Failure)
  }

  private let settings: Settings
  private let observer: @Sendable (Event) -> Void
  private let process: OwnProcess

  /// The variants in the table's order: by loss, the baseline last.
  package let variants: [ComparisonVariant]
  /// The runs in their order: by seed, so that the first table is whole soon.
  package let cells: [ComparisonCell]

  /// Checks what can be checked before anything runs. Throws ``ComparisonError``.
  package init(_ settings: Settings, observer: @escaping @Sendable (Event) -> Void) throws(ComparisonError) {
    (self.settings, self.observer, process) = (settings, observer, OwnProcess(settings.executable))
    let trainings = settings.strategies.map { ComparisonVariant.Training($0) } + [.centralised]
    variants = settings.ssl.flatMap { ssl in trainings.map { ComparisonVariant($0, ssl) } }
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

  /// What the plan allows in one strategy it may reject in another.
  private static func check(_ plan: Plan, _ variant: ComparisonVariant) throws(ComparisonError) {
    do {
      _ = try Plan(yaml: plan.yaml(), file: variant.name)
    } catch {
      let problem = error.problems.first.map { "\($0.field): \($0.reason)" } ?? ""
      throw .plan("the plan as \(variant.label): \(problem)")
    }
  }

  /// Runs what is not finished yet, and measures. A run that fails is a line of the report. Where the task is
  /// cancelled, what is running is ended and this throws a `CancellationError`.
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

  /// Images of all clients, and of the client that has the most. Bad data is rejected here, before a process
  /// is started for it.
  private func images() throws -> (all: Int, most: Int) {
    let fit = ImageFit(settings.plan.encoder)
    let train = try settings.data.load(role: .train, for: fit)
    try settings.testData.load(role: .test, for: fit).requireClasses(of: train)
    var most = 0
    for seed in settings.seeds {
      let parts = try settings.partition.split(train, clients: settings.clients, seed: seed)
      most = max(most, parts.map(\.count).max() ?? 0)
    }
    return (train.count, most)
  }

  /// An earlier comparison is never mixed with this one, nor lost unasked.
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

/// Why a comparison cannot be run; one line.
package enum ComparisonError: Error, Sendable, CustomStringConvertible {
  case plan(String)
  case folder(String)

  package var description: String {
    switch self {
    case .plan(let reason), .folder(let reason): reason
    }
  }
}
