import ArgumentParser
import Foundation
import Watch

struct ClientsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clients",
    abstract: "Lists the clients of a database, whether its server runs or not.",
    discussion: """
      Prints each client's images, its admitted and rejected updates, its updates that counted for fewer images than \
      claimed (cut), and the bytes received from it and sent to it; of clients with --validate the accuracy on their own \
      images, beside that of always predicting their most frequent class. The status page shows which clients are connected \
      (docs/watching.md). For example:

        fedserver clients --database strata.sqlite --json
      """)

  @OptionGroup var question: DatabaseQuestion

  func run() async throws {
    try await question.answer(as: Self.text) { try readJob($0).overview.clients }
  }

  private static func text(_ clients: [Overview.Client]) -> String {
    let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
    let hasValidations = clients.contains { $0.validation != nil }
    func percent(_ share: Double?) -> String { share.map { number(100 * $0, digits: 1) + " %" } ?? "-" }
    return table(
      [
        ("name", false), ("last contact", false), ("images", true), ("admitted", true), ("rejected", true),
        ("cut", true),
        ("received, MB", true), ("sent, MB", true),
      ] + (hasValidations ? [("validation", true), ("majority", true), ("of images", true)] : [])
        + [("software", false)],
      clients.map { client in
        [
          client.name, client.lastContact.formatted(time), "\(client.samples)", "\(client.admitted)",
          "\(client.rejected)", "\(client.cut)", number(Double(client.receivedBytes) / 1e6, digits: 2),
          number(Double(client.sentBytes) / 1e6, digits: 2),
        ]
          + (hasValidations
            ? [
              percent(client.validation?.accuracy), percent(client.validation?.majorityBaseline),
              client.validation.map { "\($0.images)" } ?? "-",
            ] : []) + [client.software]
      })
  }
}
