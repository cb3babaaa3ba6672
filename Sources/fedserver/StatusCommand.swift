import ArgumentParser
import Commands
import Federation
import Foundation
import Server

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Says what a server is doing, from its database, whether it runs or not.",
    discussion: """
      The stage and round, what is waited for, how many clients are connected, why updates were refused, and why a \
      server ended that was not stopped. "running" in the JSON says whether the process is still there. For example:

        fedserver status --database strata.sqlite
      """)

  @OptionGroup var question: DatabaseQuestion

  func run() async throws {
    try await question.answer(as: Self.text) { database in
      let history = try History(database)
      guard let status = try history.status() else { throw CommandFailure.noServer(on: database) }
      let isGivenUp = status.phase == .failed && status.reason == nil
      return Answer(
        status: status, abandoned: isGivenUp ? try history.job()?.attempts.last?.record.reason : nil)
    }
  }

  /// The status, and whether what it says is still true.
  private struct Answer: Encodable {
    let status: ServerStatus
    /// Why the last attempt was abandoned, where the job was given up.
    let abandoned: String?

    private enum Key: CodingKey { case running, reason }

    func encode(to encoder: any Encoder) throws {
      try status.encode(to: encoder)
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(status.isRunning, forKey: .running)
      try container.encodeIfPresent(status.reason ?? abandoned, forKey: .reason)
    }
  }

  private static func text(_ answer: Answer) -> String {
    let status = answer.status
    var lines = [status.place, status.doing]
    if let reason = answer.abandoned { lines.append("the last attempt was abandoned: \(reason)") }
    let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
    lines.append("since \(status.since.formatted(time))")
    if status.isRunning {
      if let until = status.until {
        // A round that waits for all begins with a quorum after that, and one that waits for a quorum is given up.
        let isWaiting = status.phase == .recruiting
        lines.append(
          (isWaiting ? "waits for so many until " : "at the latest until ") + until.formatted(time))
      }
      lines.append(
        "\(counted(status.present, "client")) \(status.present == 1 ? "is" : "are") connected, process \(status.process)"
      )
      lines += (status.notAsked ?? []).map { "\($0.client) is not asked: \($0.explanation)" }
    } else if !status.hasEnded {
      lines.append("but the server does not run: process \(status.process) is gone")
    }
    if status.phase == .failed { lines.append("start the server again to go on with this round") }
    let refusals = (status.refusals ?? [:]).sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    if !refusals.isEmpty { lines.append("updates refused so far: \(refusals.joined(separator: ", "))") }
    return lines.joined(separator: "\n")
  }
}
