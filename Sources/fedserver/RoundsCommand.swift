import ArgumentParser
import Commands
import Foundation
import Watch

struct RoundsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rounds",
    abstract: "Lists the committed rounds of a database, whether its server runs or not.",
    discussion: "The loss is the mean over the clients' images; attempt 2 and up were tried before.")

  @Option(help: ArgumentHelp("The server's SQLite file; nothing in it is changed.", valueName: "file"))
  var database: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting("fedserver") {
      let rounds = try readJob(database).overview.rounds
      print(json ? try Commands.json(rounds) : Self.text(rounds))
    }
  }

  private static func text(_ rounds: [Overview.Round]) -> String {
    func number(_ value: Double?, _ format: String) -> String {
      value.map { String(format: format, $0) } ?? "-"
    }
    return table(
      [
        ("stage", true), ("round", true), ("attempt", true), ("clients", true), ("samples", true),
        ("loss", true), ("calibration", true), ("seconds", true), ("effective rank", true),
      ],
      rounds.map { round in
        [
          "\(round.stage)", "\(round.round)", "\(round.attempt)", "\(round.clients)", "\(round.samples)",
          number(round.loss, "%.4f"), number(round.calibrationLoss, "%.4f"), number(round.seconds, "%.1f"),
          number(round.monitors.map { Double($0.effectiveRank) }, "%.1f"),
        ]
      })
  }
}
