import ArgumentParser
import Commands
import Datasets
import Engine
import Foundation
import Simulation

struct PartitionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "partition",
    abstract: "Shows how a partition divides data among clients, before anything trains.",
    usage: "fedsim partition [<options>] --data <spec>",
    discussion: """
      Prints each client's number of examples of each class and its distance from the whole; with many classes, a \
      digit for each. 'fedsim run' divides the same data with the same seed in this way. For example:

        fedsim partition --data shapes:4000 --clients 10 --partition dirichlet:0.5 --html partition.html

      \(CommandHelp.dataSpec)
      """)

  @Option(help: ArgumentHelp("The clients' data.", valueName: "spec"))
  var data: String

  @Option(help: "The number of clients, 1 to 10000.")
  var clients: Int = 4

  @Option(
    help:
      "The partition: even, dirichlet:BETA, shards:K, sorted:K, quantity:BETA, noise:SIGMA or community (docs/data.md).",
    completion: .list(Partition.examples))
  var partition: String = "even"

  @Option(help: "The seed, which is the plan's in a run.")
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Write a page with a picture.", valueName: "file"), completion: .file())
  var html: String?

  @Option(help: ArgumentHelp("Write the counts as text.", valueName: "file"), completion: .file())
  var csv: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard Share.counts.contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let (page, table) = (try html.map { try OutputFile($0) }, try csv.map { try OutputFile($0) })
      let report = try await resultUnlessStopped("fedsim") {
        try await TrainingThread.abandonable("partition") { try divide() }
      }
      try page?.write(Data(PartitionPage(report).html.utf8))
      try table?.write(Data(report.csv.utf8))
      if json { return try StandardOutput.write(Commands.json(report)) }
      for line in PartitionTable(report, columns: Terminal.columns(of: STDOUT_FILENO) ?? 80).lines {
        try StandardOutput.write(line)
      }
      try StandardOutput.write("")
      for (name, text) in report.summary {
        try StandardOutput.write(name.padding(toLength: 10, withPad: " ", startingAt: 0) + text)
      }
    }
  }

  private func divide() throws -> PartitionReport {
    do {
      let spec = try DataSpec(parsing: data)
      return try PartitionReport(
        spec.dataset(role: .train), data: data, by: Partition(parsing: partition), clients: clients,
        seed: seed)
    } catch {
      throw CommandFailure(.data, error.description)
    }
  }
}
