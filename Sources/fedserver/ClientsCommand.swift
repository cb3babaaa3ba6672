import ArgumentParser
import Foundation
import Watch

struct ClientsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clients",
    abstract: "Lists the clients of a database, whether its server runs or not.",
    discussion: """
      Images, updates that were admitted, rejected, and counted for fewer images than they claimed (cut), and bytes at the server's sockets, from the client and to it. \
      Who is connected this moment is on the status page (fedserver run --http). For example:

        fedserver clients --database strata.sqlite --json
      """)

  @OptionGroup var question: DatabaseQuestion

  func run() async throws {
    try await question.answer(as: Self.text) { try readJob($0).overview.clients }
  }

  private static func text(_ clients: [Overview.Client]) -> String {
    let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
    return table(
      [
        ("name", false), ("last contact", false), ("images", true), ("admitted", true), ("rejected", true),
        ("cut", true),
        ("received, MB", true), ("sent, MB", true), ("software", false),
      ],
      clients.map { client in
        [
          client.name, client.lastContact.formatted(time), "\(client.samples)", "\(client.admitted)",
          "\(client.rejected)", "\(client.cut)", number(Double(client.receivedBytes) / 1e6, digits: 2),
          number(Double(client.sentBytes) / 1e6, digits: 2), client.software,
        ]
      })
  }
}
