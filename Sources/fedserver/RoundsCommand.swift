import ArgumentParser
import Commands
import Federation
import Foundation
import Server
import Watch

struct RoundsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rounds",
    abstract: "Lists the committed rounds of a database, whether its server runs or not.",
    discussion: """
      Prints a line for each round. "loss" is the mean over the clients' images, "calibration" the loss on the \
      server's own images; "attempt" is above 1 if earlier attempts were abandoned; "cut" is the number of clients \
      that claimed more images than count (the plan's round.maxSamples); "waited" is how long the round waited for \
      clients before it began. For example:

        fedserver rounds --database strata.sqlite
      """)

  @OptionGroup var question: DatabaseQuestion

  @Flag(help: "List every attempt, with the reason if it was abandoned, and the current one.")
  var all = false

  @Flag(help: "Print CSV, a line for each metric of each round, of its layers and of its clients.")
  var csv = false

  func validate() throws {
    if csv, all || question.json { throw ValidationError("--csv cannot be combined with --all or --json") }
  }

  func run() async throws {
    if all {
      try await question.answer(as: Self.text) { try readJob($0).recorded.attempts.map(Attempt.init) }
    } else if csv {
      try await reporting {
        let job = try reading(question.database) { try readJob(question.database).recorded }
        try StandardOutput.write(JobFigures(job).csvOfRounds, terminator: "")
      }
    } else {
      try await question.answer(as: Self.text) { try readJob($0).overview.rounds }
    }
  }

  /// An attempt at a round.
  private struct Attempt: Encodable {
    let stage, round, attempt: Int
    /// `committed` or `abandoned`; nil while it runs.
    let outcome: String?
    /// The reason why it was abandoned.
    let reason: String?
    /// The number of clients whose updates were admitted.
    let clients: Int
    let startedAt: Date
    /// The seconds of waiting for clients; nil while it waits.
    let waited: Double?
    let finishedAt: Date?

    init(_ attempt: RecordedJob.Attempt) {
      let record = attempt.record
      (stage, round, self.attempt) = (attempt.stage, record.number, record.attempt)
      (outcome, reason, clients) = (record.outcome?.rawValue, record.reason, attempt.admitted)
      (startedAt, waited, finishedAt) = (record.startedAt, record.waited, record.finishedAt)
    }
  }

  private static func text(_ attempts: [Attempt]) -> String {
    table(
      [
        ("stage", true), ("round", true), ("attempt", true), ("clients", true), ("waited, s", true),
        ("outcome", false), ("reason", false),
      ],
      attempts.map { attempt in
        [
          "\(attempt.stage)", "\(attempt.round)", "\(attempt.attempt)", "\(attempt.clients)",
          number(attempt.waited, digits: 1), attempt.outcome ?? "in progress", attempt.reason ?? "-",
        ]
      })
  }

  private static func text(_ rounds: [Overview.Round]) -> String {
    let metrics = Metric.all.filter { metric in rounds.contains { $0.metrics[metric] != nil } }
    let heads = ["stage", "round", "attempt", "clients", "samples", "cut", "waited, s", "seconds"]
    return table(
      (heads + metrics.map(\.heading)).map { ($0, true) },
      rounds.map { round in
        [
          "\(round.stage)", "\(round.round)", "\(round.attempt)", "\(round.clients)", "\(round.samples)",
          "\(round.cut)", number(round.waited, digits: 1), number(round.seconds, digits: 1),
        ]
          + metrics.map { metric in
            guard metric.unit == .share else { return number(round.metrics[metric], digits: metric.digits) }
            return round.metrics[metric].map { number(100 * $0, digits: metric.digits) + " %" } ?? "-"
          }
      })
  }
}
