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
      let page: ReportPage
      do {
        guard let recorded = try History(database).job() else {
          throw CommandFailure(.store, "\(database): no server has run on it yet")
        }
        let plan = try Overview.plan(of: recorded)
        page = ReportPage(Overview(recorded, plan, at: Date()), plan: recorded.job.plan)
      } catch let error as StoreError {
        throw CommandFailure(.store, error.description)
      }
      do {
        try Data(page.html.utf8).write(to: URL(fileURLWithPath: out), options: .atomic)
      } catch {
        throw CommandFailure(.store, "\(out): \((error as NSError).localizedDescription)")
      }
    }
  }
}
