import ArgumentParser
import Commands
import Federation
import Foundation
import Server
import Support
import Watch

struct ReportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes a report of a run as one page, whether the server runs or not.",
    discussion: """
      The report is one HTML file with plots, and needs no network (docs/watching.md). --json prints its content, with \
      the confusion matrix of a classification. For example:

        fedserver report --database strata.sqlite --out report.html
      """)

  @Option(
    help: ArgumentHelp(
      "The server's SQLite file. It is only read; the server may be running.", valueName: "file"),
    completion: .database)
  var database: String

  @Option(
    help: ArgumentHelp("The HTML file to write; an existing one is replaced.", valueName: "file"),
    completion: .file(extensions: ["html"]))
  var out: String?

  @Flag(help: "Print the content as JSON.")
  var json = false

  func validate() throws {
    guard out != nil || json else { throw ValidationError("Missing expected argument '--out <file>'") }
  }

  func run() async throws {
    try await reporting {
      guard let out else {
        let (_, overview) = try reading(database) { try readJob(database) }
        return try StandardOutput.write(Commands.json(overview))
      }
      let file = try OutputFile(out, notIn: database)
      let (recorded, overview) = try reading(database) { try readJob(database) }
      let page = ReportPage(overview, plan: recorded.job.plan)
      try file.write(Data(page.html.utf8))
      try StandardOutput.write(
        json
          ? Commands.json(overview)
          : "\(out): \(counted(overview.rounds.count, "round")), \(counted(overview.clients.count, "client"))"
      )
    }
  }
}
