import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Simulation

struct SweepsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweeps",
    abstract: "Plots the loss of deep linear networks of several depths by sweep.",
    usage: "fedsim sweeps [<options>] --data <spec> --out <dir>",
    discussion: """
      Trains each network at one place, by block coordinate descent with the exact rate; a federation takes the same \
      steps (docs/linear.md). Writes sweeps.html, sweeps.json and sweeps.csv to DIR. For example:

        fedsim sweeps --data 'regression:40?spread=4' --depths 1,5,50 --out sweeps

      \(CommandHelp.dataSpec)
      """)

  @Option(help: ArgumentHelp("Rows with targets.", valueName: "spec"))
  var data: String

  @Option(help: ArgumentHelp("The folder for the results.", valueName: "dir"), completion: .directory)
  var out: String

  @Option(
    help: "Numbers of matrices, separated by commas, at most 12. (default: 1,2,3,5,10,20,50)",
    transform: CompareList.depths)
  var depths: [Int] = [1, 2, 3, 5, 10, 20, 50]

  @Option(help: "Width between the matrices, 1 to 8192.")
  var width: Int = 20

  @Option(help: "Sweeps, 1 to 10000.")
  var sweeps: Int = 10

  @Option(
    help: "Order of the updates in a sweep: ascending or descending.",
    completion: .list(SweepOrder.allCases.map(\.rawValue)))
  var order: SweepOrder = .ascending

  @Option(
    help: "Initial matrices: orthogonal or gaussian.",
    completion: .list(DeepLinearStart.allCases.map(\.rawValue)))
  var start: DeepLinearStart = .orthogonal

  @Option(help: "Starts whose medians are reported, 1 to 1000.")
  var starts: Int = 9

  @Option(help: "The seed of the first start; the others follow.")
  var seed: UInt64 = 1

  @Option(help: "Threads, 1 to 256. (default: all cores)")
  var threads: Int?

  @Flag(help: "Print sweeps.json instead of the table.")
  var json = false

  func validate() throws {
    guard (1...PlanLimits.width).contains(width) else { throw ValidationError("--width is 1 to 8192") }
    guard (1...10_000).contains(sweeps) else { throw ValidationError("--sweeps is 1 to 10000") }
    guard (1...1000).contains(starts) else { throw ValidationError("--starts is 1 to 1000") }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let terminal = Terminal()
      let folder = URL(fileURLWithPath: out, isDirectory: true)
      let report = try await resultUnlessStopped("fedsim", on: terminal) {
        try await TrainingThread.abandonable("sweeps") { try sweep(terminal) }
      }
      do {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try report.write(to: folder)
      } catch {
        throw CommandFailure(.store, "\(out): \(error.systemWords)")
      }
      try StandardOutput.write(json ? Commands.json(report) : report.table)
      if !json {
        try StandardOutput.write("\nreport: \(folder.appendingPathComponent("sweeps.html").relativePath)")
      }
    }
  }

  private func sweep(_ terminal: Terminal) throws -> SweepReport {
    let rows: FeatureRows
    do {
      rows = try DataSpec(parsing: data).dataset(role: .train).rows
      guard rows.targetCount > 0 else { throw DatasetError.otherTargets(own: 0, encoder: 1) }
    } catch let error as DatasetError {
      throw CommandFailure(.data, error.description)
    }
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let progress = WorkProgress(of: depths.count * starts, "starts", on: terminal)
    defer { progress.end() }
    let settings = DepthSweeps.Settings(
      depths: depths, width: width, sweeps: sweeps, order: order, start: start, starts: starts, seed: seed)
    return try DepthSweeps(settings, rows).run(
      data: data, command: CompareList.command(CommandLine.arguments), workers: Workers(threads)
    ) { progress.advance() }
  }
}

extension SweepOrder: ExpressibleByArgument {}
extension DeepLinearStart: ExpressibleByArgument {}
