import ArgumentParser
import Commands
import Federation
import Foundation
import Server
import Support
import Watch

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Prints the state of a server from its database, whether it runs or not.",
    discussion: """
      Prints the stage and round, the clients that the server waits for and their state, the number of connected \
      clients, estimates of the end of the round and the job, the reasons of rejected updates, the accuracy of the last \
      exit in a classification with --probe-data, and why the server \
      ended if it was not stopped. In the JSON, "running" is true if the server's process exists. For example:

        fedserver status --database strata.sqlite
      """)

  @OptionGroup var question: DatabaseQuestion

  func run() async throws {
    try await question.answer(as: Self.text) { database in
      let history = try History(database)
      guard let status = try history.status() else { throw CommandFailure.noServer(on: database) }
      let job = try history.job()
      let isGivenUp = status.phase == .failed && status.reason == nil
      // A plan of another version may be unreadable; then there is no estimate.
      let estimate = job.flatMap { job in
        (try? Overview.plan(of: job)).map { Estimate(status, job.attempts, $0, at: Date()) }
      }
      return Answer(
        status: status, abandoned: isGivenUp ? job?.attempts.last?.record.reason : nil, estimate: estimate,
        evaluation: job.flatMap { Overview.Evaluation($0, nil) })
    }
  }

  /// The status, and whether it is still current.
  private struct Answer: Encodable {
    let status: ServerStatus
    /// The reason why the last attempt was abandoned, if the job failed.
    let abandoned: String?
    let estimate: Estimate?
    /// The exits of a classification after the last probed round.
    let evaluation: Overview.Evaluation?

    private enum Key: CodingKey { case running, reason, estimate, evaluation }

    func encode(to encoder: any Encoder) throws {
      try status.encode(to: encoder)
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(status.isRunning, forKey: .running)
      try container.encodeIfPresent(status.reason ?? abandoned, forKey: .reason)
      try container.encodeIfPresent(estimate, forKey: .estimate)
      try container.encodeIfPresent(evaluation, forKey: .evaluation)
    }
  }

  private static func text(_ answer: Answer) -> String {
    let status = answer.status
    var lines = [status.place, status.doing]
    if status.isRunning, let missing = status.missing(naming: 20) { lines.append(missing) }
    if let reason = answer.abandoned { lines.append("the last attempt was abandoned: \(reason)") }
    let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
    lines.append("since \(status.since.formatted(time))")
    if status.isRunning {
      if let until = status.until {
        // After that, a round that waits for all clients starts with a quorum; one without a quorum is abandoned.
        let isWaiting = status.phase == .recruiting
        lines.append(
          (isWaiting ? "waits for \(counted(status.needed, "client")) until " : "this phase ends by ")
            + until.formatted(time))
      }
      let ends = [
        answer.estimate?.roundEnd.map { "the round ends at \($0.formatted(time))" },
        answer.estimate?.jobEnd.map { "the job at \($0.formatted(time))" },
      ].compactMap(\.self)
      if !ends.isEmpty { lines.append("estimated: \(ends.joined(separator: ", "))") }
      lines.append(
        "\(counted(status.present, "client")) \(status.present == 1 ? "is" : "are") connected, process \(status.process)"
      )
      lines += (status.notAsked ?? []).map { "\($0.client) is not asked: \($0.explanation)" }
    } else if !status.hasEnded {
      lines.append("the server does not run: process \(status.process) has ended")
    }
    if let evaluation = answer.evaluation { lines.append("accuracy of the last exit: \(evaluation.words)") }
    if status.phase == .failed { lines.append("start the server again to continue with this round") }
    let rejections = (status.rejections ?? [:]).sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    if !rejections.isEmpty { lines.append("updates rejected so far: \(rejections.joined(separator: ", "))") }
    // Names and reasons in the database may contain any characters.
    return lines.map { ForeignText($0, limit: 2000).description }.joined(separator: "\n")
  }
}
