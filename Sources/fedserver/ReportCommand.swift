import ArgumentParser
import Commands
import Foundation
import Server
import Watch

struct ReportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Writes a whole run as one page, from its database, whether the server runs or not.")

  @Option(help: ArgumentHelp("The server's SQLite file; nothing in it is changed.", valueName: "file"))
  var database: String

  @Option(help: ArgumentHelp("The HTML file to write; one that is there is replaced.", valueName: "file"))
  var out: String

  func run() async throws {
    try await reporting("fedserver") {
      let (recorded, overview) = try readJob(database)
      let page = ReportPage(overview, plan: recorded.job.plan)
      try writeFile(Data(page.html.utf8), to: out)
    }
  }
}
