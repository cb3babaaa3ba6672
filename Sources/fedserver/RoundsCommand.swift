import ArgumentParser
import Foundation
import Watch

struct RoundsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rounds",
    abstract: "Lists the committed rounds of a database, whether its server runs or not.",
    discussion: """
      A line for each round: its loss is the mean over the clients' images; the loss of calibration is that on the \
      server's own images; an attempt of 2 and up was tried before. For example:

        fedserver rounds --database strata.sqlite
      """)

  @OptionGroup var question: DatabaseQuestion

  func run() async throws {
    try await question.answer(as: Self.text) { try readJob($0).overview.rounds }
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
