import ArgumentParser
import Client
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Support

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks a data set, and estimates the memory and time of a plan on this machine.",
    usage: "fedclient check [<options>] --data <spec>",
    discussion: """
      Reads every image once, or a graph. --plan times a few steps of each stage on these data. The sheet shows eight \
      images, each with six views as in training. Nothing is sent. For example:

        fedclient check --data folder:/srv/images --plan plan.yaml --sheet sheet.png

      \(CommandHelp.dataSpec)
      """)

  @Option(help: ArgumentHelp("The images.", valueName: "spec"))
  var data: String

  @OptionGroup var sharing: ShareOptions

  @Option(help: ArgumentHelp("A plan, a YAML file (docs/plans.md).", valueName: "file"), completion: .plan)
  var plan: String?

  @Option(
    help: ArgumentHelp("The contact sheet to write, a PNG file.", valueName: "file"),
    completion: .file(extensions: ["png"]))
  var sheet: String?

  @Flag(help: "Fail if a file is broken, instead of counting it.")
  var strict = false

  @Option(help: "Threads that read and train, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "The client's memory limit, such as 256MB. (default: the plan's)", valueName: "bytes"))
  var memory: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard memory.map({ ByteCount($0) != nil }) ?? true else {
      throw ValidationError("--memory is a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    guard sharing.partition == nil || plan != nil else {
      throw ValidationError("--partition needs --plan: the plan's seed determines the partition")
    }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedclient") {
      let plan = try plan.map { path throws(CommandFailure) in try readPlan(path) }
      let (place, terminal) = (try sheet.map { path in try OutputFile(path) }, Terminal())
      let report = try await resultUnlessStopped("fedclient", on: terminal) {
        do {
          return try await TrainingThread.abandonable("check") { try check(plan, place, terminal) }
        } catch {
          throw RunCommand.failure(error)
        }
      }
      try StandardOutput.write(json ? Commands.json(report) : report.table)
      if let reason = report.tooFew { throw CommandFailure(.data, reason.description) }
      if let problem = report.stages.lazy.compactMap({ stage in stage.problem.map { (stage.stage, $0) } })
        .first
      {
        throw CommandFailure(.memory, "stage \(problem.0): \(problem.1)")
      }
    }
  }

  private func check(_ plan: Plan?, _ place: OutputFile?, _ terminal: Terminal) throws -> CheckReport {
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let share = try sharing.local(ProcessInfo.processInfo.environment)
    let local = try LocalData(DataSpec(parsing: data), isStrict: strict, share: share)
    let opened = try share == nil ? local.opened : plan.map(local.prepared) ?? local.opened
    var report = CheckReport(data: try summary(of: opened, threads, terminal), sheet: sheet)
    // With too few images a client does not start, so the report ends here.
    guard report.tooFew == nil else {
      report.sheet = nil
      return report
    }
    if let place { try draw(local, plan, report.data, to: place) }
    guard let plan else { return report }
    let fitted = try plan.labelled(local.prepared(for: plan))
    if case .nodes(let nodes) = fitted, TrainingNodes(nodes, plan).isExhausted {
      report.takesPart = false
      return report
    }
    let estimate = TrainingEstimate(plan, fitted, threads: threads, limit: memory.flatMap { ByteCount($0) })
    let timing = WorkProgress(of: plan.stages, "stages", on: terminal)
    report.stages = (1...plan.stages).map { stage in
      timing.set(stage - 1, "timing stage \(stage)")
      return estimate.measure(stage: stage)
    }
    timing.end()
    return report
  }

  /// Reads the examples.
  private func summary(
    of examples: Dataset, _ threads: Int, _ terminal: Terminal
  ) throws -> CheckReport.Summary {
    switch examples {
    case .images(let images):
      let reading = WorkProgress(of: images.count, "images", on: terminal)
      defer { reading.end() }
      return .images(DataReport(images, Workers(threads)) { reading.advance() })
    case .nodes(let nodes):
      guard sheet == nil else {
        throw CommandFailure(.usage, "--sheet shows images, and \(data) is a graph")
      }
      return .graph(GraphReport(nodes))
    case .rows(let rows):
      guard sheet == nil else {
        throw CommandFailure(.usage, "--sheet shows images, and \(data) has rows of numbers")
      }
      return .rows(RowReport(rows))
    }
  }

  /// Draws the contact sheet. Without a plan, the views have the images' size and a plan's default augmentation.
  private func draw(
    _ local: LocalData, _ plan: Plan?, _ summary: CheckReport.Summary, to place: OutputFile
  ) throws {
    guard case .images(let data) = summary else { return }
    let side = min(max(min(data.height.median, data.width.median), 8), 224)
    let fit =
      plan.map { ImageFit($0.encoder) } ?? ImageFit(size: side, channels: data.grey == data.images ? 1 : 3)
    let sheet = ContactSheet(
      try local.fitted(to: .images(ImageInput(side: fit.size, channels: fit.channels))).images, fit,
      plan?.augmentation ?? AugmentationSettings(), seed: plan?.seed ?? 1)
    try place.write { path in try sheet.write(to: path) }
  }
}

/// The report of `fedclient check`.
struct CheckReport: Encodable {
  /// The examples of one kind.
  enum Summary: Encodable {
    case images(DataReport)
    case graph(GraphReport)
    case rows(RowReport)

    func encode(to encoder: any Swift.Encoder) throws {
      switch self {
      case .images(let report): try report.encode(to: encoder)
      case .graph(let report): try report.encode(to: encoder)
      case .rows(let report): try report.encode(to: encoder)
      }
    }
  }

  let data: Summary
  /// The plan's stages; empty without a plan.
  var stages: [TrainingEstimate.Stage] = []
  /// Whether there is something to train on under the plan; nil without a plan, or if there is.
  var takesPart: Bool?
  /// The path of the contact sheet.
  var sheet: String?

  var table: String {
    var lines =
      switch data {
      case .images(let report): self.lines(report)
      case .graph(let report): self.lines(report)
      case .rows(let report): self.lines(report)
      }
    if let sheet { lines.append(line("sheet", sheet)) }
    if takesPart == false {
      lines.append(line("training", "none of the nodes has a label for it: takes no part"))
    }
    if !stages.isEmpty { lines += [""] + table(stages) }
    return lines.joined(separator: "\n")
  }

  private func lines(_ data: DataReport) -> [String] {
    var lines = [
      line("images", images(data)),
      line("height", spread(data.height)), line("width", spread(data.width)),
      line(
        "classes",
        data.classes.isEmpty ? data.labelProblem.map { "none: \($0)" } ?? "none" : "\(data.classes.count)"),
    ]
    lines += names(data.classes)
    lines += data.labelWarnings.map { line("warning", $0) }
    lines.append(line("broken", data.broken.isEmpty ? "none" : "\(data.broken.count), left out"))
    lines += data.broken.prefix(Self.named).map { line("", "\($0.path): \($0.reason)") }
    if data.broken.count > Self.named { lines.append(line("", "and \(data.broken.count - Self.named) more")) }
    if !data.passedOver.isEmpty {
      lines.append(
        line(
          "other",
          data.passedOver.map { "\($0.count) \($0.ending)" }.joined(separator: ", ") + ", ignored"))
    }
    return lines
  }

  private func lines(_ data: GraphReport) -> [String] {
    let share = { (count: Int) in
      data.nodes == 0 ? "" : String(format: "%.1f %%", 100 * Double(count) / Double(data.nodes))
    }
    var lines = [
      line("nodes", "\(data.nodes)"), line("edges", "\(data.edges)"),
      line("features", "\(data.features)\(data.isSparse ? ", sparse" : "")"),
      line("degree", "\(spread(data.degree)), \(data.isolated) isolated"),
      line("classes", data.classes.isEmpty ? "none" : "\(data.classes.count)"),
    ]
    lines += names(data.classes)
    lines += data.labelWarnings.map { line("warning", $0) }
    if !data.classes.isEmpty {
      lines.append(line("labelled", "\(data.nodes - data.unlabelled), \(data.unlabelled) without a label"))
      lines += [("training", data.train), ("validation", data.validation), ("test", data.test)].map {
        line("", $0.0.padding(toLength: 12, withPad: " ", startingAt: 0) + "\($0.1) (\(share($0.1)))")
      }
    }
    let dropped = data.dropped
    lines.append(
      line(
        "dropped",
        dropped.total == 0
          ? "none"
          : "\(counted(dropped.selfLoops, "self loop")), \(dropped.repeated) repeated and "
            + "\(dropped.reversed) reversed edges"))
    if data.cut > 0 { lines.append(line("cut", "\(data.cut) edges to nodes of others")) }
    return lines
  }

  /// The error for fewer than two images; nil if there are enough.
  var tooFew: DatasetError? {
    guard case .images(let data) = data, data.images < 2 else { return nil }
    return .tooFew(
      count: data.images, broken: data.broken.map { BrokenFile(path: $0.path, reason: $0.reason) })
  }

  /// The number of columns of rows that are listed.
  private static let columns = 20

  private func lines(_ data: RowReport) -> [String] {
    func lines(_ kind: String, _ columns: [RowReport.Column]) -> [String] {
      let longest = columns.prefix(Self.columns).map(\.name.count).max() ?? 0
      var lines = [line(kind, columns.isEmpty ? "none" : "\(columns.count)")]
      lines += columns.prefix(Self.columns).map { column in
        line(
          "",
          column.name + String(repeating: " ", count: longest - column.name.count)
            + String(
              format: "  %.4g to %.4g, mean %.4g, deviation %.4g", column.min, column.max, column.mean,
              column.deviation))
      }
      if columns.count > Self.columns { lines.append(line("", "and \(columns.count - Self.columns) more")) }
      return lines
    }
    return [line("rows", "\(data.rows)")] + lines("inputs", data.inputs) + lines("targets", data.targets)
  }

  private func images(_ data: DataReport) -> String {
    let (grey, cmyk) = (
      data.grey > 0 ? "\(data.grey) of them grey" : nil, data.cmyk > 0 ? "\(data.cmyk) of them CMYK" : nil
    )
    return (["\(data.images)"] + [grey, cmyk].compactMap { $0 }).joined(separator: ", ")
  }

  private func names(_ classes: [DataReport.Class]) -> [String] {
    let longest = classes.map(\.name.count).max() ?? 0
    return classes.map {
      line("", $0.name + String(repeating: " ", count: longest - $0.name.count) + "  \($0.count)")
    }
  }

  /// The maximum number of broken files listed by name.
  private static let named = 5

  private func line(_ name: String, _ value: String) -> String {
    name + String(repeating: " ", count: 10 - name.count) + value
  }

  private func spread(_ spread: DataReport.Spread) -> String {
    spread.min == spread.max
      ? "\(spread.min)" : "\(spread.min) to \(spread.max), median \(spread.median)"
  }

  private func table(_ stages: [TrainingEstimate.Stage]) -> [String] {
    var lines = [row("stage", "rounds", "batch", "steps a round", "memory", "time a round")]
    for stage in stages {
      lines.append(
        row(
          "\(stage.stage)", "\(stage.rounds)", "\(stage.batch)", "\(stage.steps)",
          "\((stage.memoryBytes + 999_999) / 1_000_000) MB",
          stage.secondsPerRound.map { String(format: $0 < 10 ? "%.2f s" : "%.0f s", $0) } ?? "too large"))
    }
    let known = stages.compactMap { stage in stage.secondsPerRound.map { $0 * Double(stage.rounds) } }
    if known.count == stages.count {
      lines.append("all rounds: \(Terminal.clock(known.reduce(0, +))) of training on this machine")
    }
    return lines
  }

  private func row(_ cells: String...) -> String {
    zip(cells, [6, 8, 7, 15, 10, 14]).reduce("") {
      $0 + String(repeating: " ", count: max($1.1 - $1.0.count, 1)) + $1.0
    }
  }
}
