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
    abstract: "Writes a whole run as one page, from its database, whether the server runs or not.",
    discussion: """
      One HTML file with plots that needs no network (docs/watching.md). For example:

        fedserver report --database strata.sqlite --out report.html
      """)

  @Option(
    help: ArgumentHelp(
      "The server's SQLite file; nothing in it is changed, and its server may be at work.", valueName: "file"),
    completion: .database)
  var database: String

  @Option(
    help: ArgumentHelp("The HTML file to write; one that is there is replaced.", valueName: "file"),
    completion: .file(extensions: ["html"]))
  var out: String

  func run() async throws {
    try await reporting {
      let file = try OutputFile(out, notIn: database)
      let (recorded, overview) = try reading(database) { try readJob(database) }
      let page = ReportPage(overview, plan: recorded.job.plan)
      try file.write(Data(page.html.utf8))
      try StandardOutput.write(
        "\(out): \(counted(overview.rounds.count, "round")), \(counted(overview.clients.count, "client"))")
    }
  }
}
