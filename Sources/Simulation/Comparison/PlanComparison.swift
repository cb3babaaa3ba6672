import Datasets
import Engine
import Federation
import Foundation
import Support

/// Runs variants of a plan with the same seeds, each run in a separate process, and collects their figures.
package struct PlanComparison: Sendable {
  package enum Event: Sendable {
    /// A run begins, the `index`-th of `of`. If `isKnown`, it was finished earlier.
    case run(ComparisonCell, index: Int, of: Int, isKnown: Bool)
    /// A line of a run's process.
    case line(ComparisonCell, String)
    /// A run has finished or failed.
    case ended(ComparisonCell)
    case measuring(ComparisonVariant)
    case failed(ComparisonReport.Failure)
    /// A line about how the runs share the machine.
    case shares(String)
  }

  private let settings: Settings
  private let observer: @Sendable (Event) -> Void

  /// The variants in the order of the table: by loss, the baseline last.
  package let variants: [ComparisonVariant]
  /// The runs in order: by seed, so that the first table is complete soon.
  package let cells: [ComparisonCell]

  /// Checks the settings before anything runs. Throws ``ComparisonError``.
  package init(_ settings: Settings, observer: @escaping @Sendable (Event) -> Void) throws(ComparisonError) {
    (self.settings, self.observer) = (settings, observer)
    variants = settings.variants
    if let missing = settings.reference?.missing(in: variants) {
      throw .axis("--against \(missing): no variant of the comparison has it")
    }
    var cells: [ComparisonCell] = []
    for seed in settings.seeds {
      for variant in variants {
        let (plan, options) = try settings.plan(of: variant, seed: seed)
        cells.append(
          ComparisonCell(
            variant, seed: seed, plan: plan, options: settings.arguments(variant, options), in: settings.out))
      }
    }
    self.cells = cells
  }

  /// Runs what is not finished yet, and measures. A failed run is a line of the report. If the task is cancelled, kills
  /// the current runs and throws a `CancellationError`.
  package func run() async throws -> ComparisonReport {
    let images = try images()
    let record = try prepareFolder()
    var (runs, failures) = try await runCells(images)
    for variant in record.variants {
      for seed in record.seeds where runs[variant]?[seed] == nil && failures[variant] == nil {
        runs[variant, default: [:]][seed] = ComparisonCell.record(variant, seed, in: settings.out)
      }
    }
    let rowVariants = Self.ordered(
      record.variants.filter { variants.contains($0) || !(runs[$0] ?? [:]).isEmpty })
    var rows: [ComparisonReport.Row] = []
    for variant in rowVariants {
      var memory: [StageMemory.Result] = []
      let (plan, _) = try settings.plan(of: variant, seed: settings.seeds[0])
      do {
        memory = try await measure(variant, plan, images[variant])
      } catch let failure as ComparisonReport.Failure {
        observer(.failed(failure))
        failures[variant, default: []].append(failure)
      }
      rows.append(
        ComparisonReport.Row(
          variant, plan: plan, runs: record.seeds.map { runs[variant]?[$0] }, memory: memory,
          failures: failures[variant] ?? []))
    }
    return ComparisonReport(
      name: settings.plan.name, command: settings.command, plan: settings.plan.yaml(),
      clients: settings.options.clients, data: settings.data.description,
      testData: settings.testData.description, partition: settings.options.partition.description,
      seeds: record.seeds, against: settings.against, rows: rows)
  }

  /// Returns variants by loss, the baseline last, otherwise in their order.
  private static func ordered(_ variants: [ComparisonVariant]) -> [ComparisonVariant] {
    var objectives: [ObjectiveKind] = []
    for variant in variants where !objectives.contains(variant.objective) {
      objectives.append(variant.objective)
    }
    return objectives.flatMap { objective in
      let those = variants.filter { $0.objective == objective }
      return those.filter { $0.training != .centralised } + those.filter { $0.training == .centralised }
    }
  }

  /// The numbers of images of a variant: of all data, and of the largest client.
  fileprivate struct Images {
    let all, most: Int
    /// The bytes of the data in a process.
    let bytes: Int
  }

  /// Returns the numbers of images by variant. Rejects invalid data before a process is started.
  private func images() throws -> [ComparisonVariant: Images] {
    let input = settings.plan.encoder.input
    var sets: [String: Dataset] = [:]
    var known: [[String]: Int] = [:]
    var images: [ComparisonVariant: Images] = [:]
    for variant in variants {
      let options = try settings.options(of: variant)
      let data = options.data ?? settings.data
      let train =
        try sets[data.description]
        ?? settings.plan.trainingPart(of: try data.dataset(role: .train, for: input))
      if sets.updateValue(train, forKey: data.description) == nil {
        try settings.testData.dataset(role: .test, for: input).requireClasses(of: train)
      }
      var most = 0
      for seed in settings.seeds {
        let key = [data.description, options.partition.description, "\(options.clients)", "\(seed)"]
        let largest =
          try known[key]
          ?? options.partition.split(train, clients: options.clients, seed: seed).map(\.count).max() ?? 0
        known[key] = largest
        most = max(most, largest)
      }
      images[variant] = Images(all: train.count, most: most, bytes: train.count * input.count * 4)
    }
    return images
  }

  /// Prepares the folder and returns the record of what it holds. An earlier comparison is neither mixed with another
  /// one nor deleted.
  private func prepareFolder() throws -> ComparisonRecord {
    let names = ["compare.json", "compare.txt", "compare.html", "memory"] + cells.map(\.name)
    let taken = names.contains {
      FileManager.default.fileExists(atPath: settings.out.appendingPathComponent($0).path)
    }
    guard settings.resumes || !taken else {
      throw ComparisonError.folder(
        "\(settings.out.relativePath) holds an earlier comparison; name another --out, or add --resume")
    }
    let record = try ComparisonRecord(settings, variants).joined(with: ComparisonRecord(in: settings.out))
    do {
      try FileManager.default.createDirectory(at: settings.out, withIntermediateDirectories: true)
      try record.write(to: settings.out)
    } catch {
      throw ComparisonError.folder("\(settings.out.relativePath): \(error.systemWords)")
    }
    return record
  }

  // MARK: - Runs

  private typealias Runs = [ComparisonVariant: [UInt64: Summary]]
  private typealias Failures = [ComparisonVariant: [ComparisonReport.Failure]]

  /// Runs the cells that are not finished, as many at a time as fit on the machine.
  private func runCells(_ images: [ComparisonVariant: Images]) async throws -> (Runs, Failures) {
    var (runs, failures): (Runs, Failures) = ([:], [:])
    var waiting: [(index: Int, cell: ComparisonCell)] = []
    for (index, cell) in cells.enumerated() {
      if let known = cell.record {
        observer(.run(cell, index: index + 1, of: cells.count, isKnown: true))
        runs[cell.variant, default: [:]][cell.seed] = known
      } else {
        waiting.append((index + 1, cell))
      }
    }
    guard !waiting.isEmpty else { return (runs, failures) }
    let share = share(waiting.map(\.cell), images)
    try await withThrowingTaskGroup(of: (ComparisonCell, Result<Summary, ComparisonReport.Failure>).self) {
      group in
      var rest = waiting[...]
      func begin() {
        guard let (index, cell) = rest.popFirst() else { return }
        group.addTask {
          observer(.run(cell, index: index, of: cells.count, isKnown: false))
          do {
            return (cell, .success(try await run(cell, cores: share.cores)))
          } catch let failure as ComparisonReport.Failure {
            return (cell, .failure(failure))
          }
        }
      }
      for _ in 0..<share.runs { begin() }
      while let (cell, result) = try await group.next() {
        observer(.ended(cell))
        switch result {
        case .success(let summary): runs[cell.variant, default: [:]][cell.seed] = summary
        case .failure(let failure):
          observer(.failed(failure))
          failures[cell.variant, default: []].append(failure)
        }
        begin()
      }
    }
    return (runs, failures)
  }

  /// Returns how many runs share the machine, and the cores of each.
  ///
  /// One run with all cores is slower than several with a part of them, because not everything in a run is parallel.
  private func share(
    _ cells: [ComparisonCell], _ images: [ComparisonVariant: Images]
  ) -> (runs: Int, cores: Int) {
    let threads = cells.map { $0.variant.threads(settings.threads, cores: 1) }.max() ?? 1
    var runs = max(1, min(cells.count, settings.cores / max(settings.threads, threads)))
    func most(_ runs: Int) -> Int {
      cells.map { cell in
        images[cell.variant].map { memory($0, of: cell, cores: settings.cores / runs) } ?? 0
      }.max() ?? 0
    }
    while runs > 1, runs * most(runs) > settings.memory.bytes { runs -= 1 }
    let cores = max(1, settings.cores / runs)
    if runs * most(runs) > settings.memory.bytes {
      observer(
        .shares(
          "a run may take \(most(runs) / 1_000_000) MB, more than the memory of \(settings.memory)"))
    } else if runs > 1 {
      observer(.shares("\(runs) runs at a time, each with \(counted(cores, "core"))"))
    }
    return (runs, cores)
  }

  /// Returns an estimate of a run's resident memory in bytes: the data, the trainings at the same time, and the server's
  /// models and updates.
  private func memory(_ images: Images, of cell: ComparisonCell, cores: Int) -> Int {
    let threads = cell.variant.threads(settings.threads, cores: cores)
    let clients = cell.variant.training == .centralised ? 1 : cell.plan.round.cohort
    let trainings = max(1, min(clients, cores / threads))
    let largest = (1...cell.plan.stages).map { index in
      let stage = cell.plan.exampleStage(index)
      let options = cell.plan.trainingOptions(.whole, stage: index, images: max(images.most, 2))
      return MemoryPlan(stage, options, workers: threads).bytes + 8 * stage.count * MemoryLayout<Float>.stride
    }
    return 100_000_000 + images.bytes + trainings * (largest.max() ?? 0)
  }

  private func run(_ cell: ComparisonCell, cores: Int) async throws -> Summary {
    let arguments = try cell.prepare(settings.freeArguments(cell, cores: cores))
    let outcome = try await OwnProcess(settings.executable).run(arguments, keepingOutput: false) {
      [observer] line in observer(.line(cell, line))
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

  /// Measures the memory of a client. Without the numbers of images, only an earlier measurement is used.
  private func measure(
    _ variant: ComparisonVariant, _ plan: Plan, _ images: Images?
  ) async throws -> [StageMemory.Result] {
    let memory = ClientMemory(
      plan: plan, images: images.map { variant.training == .centralised ? $0.all : $0.most },
      threads: variant.threads(settings.threads, cores: settings.cores),
      file: settings.out.appendingPathComponent("memory/\(variant.name).json"))
    if let known = memory.known { return known }
    guard images != nil else { return [] }
    observer(.measuring(variant))
    do {
      return try await memory.measure(OwnProcess(settings.executable))
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
  /// A varied setting or its value.
  case axis(String)

  package var description: String {
    switch self {
    case .plan(let reason), .folder(let reason), .axis(let reason): reason
    }
  }
}
