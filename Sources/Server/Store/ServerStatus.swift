import Federation
import Foundation
import Support

/// The status of a server, as recorded in its database for `fedserver status` and others.
package struct ServerStatus: Sendable, Hashable, Codable {
  /// The phase of a server.
  package enum Phase: String, Sendable, Codable, CaseIterable {
    /// Waiting for clients.
    case recruiting
    case training, aggregating, calibrating
    /// The job is finished.
    case finished
    /// The server was stopped; the job continues when it is started again.
    case stopped
    /// The job was given up, or an error occurred: then ``ServerStatus/reason`` describes it.
    case failed
  }

  /// The reason why a connected client is not asked to train.
  package struct Silence: Sendable, Hashable, Codable {
    package var client: String
    package var reason: String
    /// When it is asked again; nil if that depends on rounds.
    package var until: Date?
    /// The number of committed rounds after which it is asked again.
    package var rounds: Int?

    package init(client: String, reason: String, until: Date? = nil, rounds: Int? = nil) {
      (self.client, self.reason, self.until, self.rounds) = (client, reason, until, rounds)
    }

    /// The reason, and when it is asked again, in a few words.
    package var explanation: String {
      if let rounds { return "\(reason); asked again after \(rounds) \(rounds == 1 ? "round" : "rounds")" }
      let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
      return until.map { "\(reason); asked again at \($0.formatted(time))" } ?? reason
    }
  }

  /// A client that the server waits for.
  package struct Awaited: Sendable, Hashable, Codable {
    package var client: String
    /// The client's activity; nil if it is not connected.
    package var activity: ClientActivity?
    /// The progress of its training in the last heartbeat; nil if it does not train.
    package var step: Int?
    package var steps: Int?

    package init(client: String, activity: ClientActivity? = nil, step: Int? = nil, steps: Int? = nil) {
      (self.client, self.activity, self.step, self.steps) = (client, activity, step, steps)
    }

    /// The client's activity in a few words.
    package var doing: String {
      switch activity {
      case nil: "not connected"
      case .idle?: "connected"
      case .fetching?: "fetching layers"
      case .training?: step.flatMap { step in steps.map { "training, step \(step) of \($0)" } } ?? "training"
      case .sending?: "sending its update"
      }
    }
  }

  /// The maximum number of clients listed, which limits the length of a record.
  package static let mostSilences = 100

  package var phase: Phase
  /// The stage, counted from 1.
  package var stage: Int
  package var stages: Int
  /// The round, counted from 1 in each stage.
  package var round: Int
  package var rounds: Int
  /// Whether the stage may end before its last round; nil means false.
  package var isOpen: Bool?
  package var attempt: Int
  /// The number of connected clients.
  package var present: Int
  /// The number of these that have declined for now; nil if an earlier version wrote the record.
  package var away: Int?
  /// The number of clients necessary to begin a round: at first the plan's minimum, later the quorum.
  package var needed: Int
  /// The number of clients that train or have trained, and of admitted updates.
  package var cohort: Int
  package var admitted: Int
  package var quorum: Int
  /// When the phase began, and when it ends at the latest; nil if only the clients can end it.
  package var since: Date
  package var until: Date?
  /// The identifier of the server's process.
  package var process: Int32
  /// The reason of a failure; nil if there is none, or if the last attempt at a round has it.
  package var reason: String?
  /// The connected clients that are not asked for now, by name, at most ``mostSilences``; nil if there are none.
  package var notAsked: [Silence]?
  /// The clients that the server waits for, in natural order, limited in number: the members of the cohort whose
  /// updates are outstanding or, while recruiting, the absent members of the last cohort. Nil if there are none.
  package var awaited: [Awaited]?
  /// The total number of clients that the server waits for.
  package var awaitedCount: Int?
  /// The estimated time at which the slowest of them has finished training; nil if it is unknown.
  package var trainingEnd: Date?
  /// The number of rejected updates so far by reason; counted on reading.
  package var rejections: [String: Int]?

  /// Whether a server has the database's lock; determined on reading, nil if this user may not know.
  package var isAtWork: Bool?

  /// The fields that are stored and exported.
  private enum CodingKeys: String, CodingKey {
    case phase, stage, stages, round, rounds, isOpen, attempt, present, away, needed, cohort, admitted,
      quorum, since,
      until
    case process, reason, notAsked, awaited, awaitedCount, trainingEnd, rejections
  }

  /// The status without the progress of clients' trainings.
  var withoutProgress: ServerStatus {
    var status = self
    status.trainingEnd = nil
    status.awaited = awaited?.map { Awaited(client: $0.client, activity: $0.activity) }
    return status
  }

  /// The status with all dates limited to those that calendars support.
  var bounded: ServerStatus {
    var status = self
    (status.since, status.until) = (since.bounded, until?.bounded)
    status.trainingEnd = trainingEnd?.bounded
    status.notAsked = notAsked?.map {
      Silence(client: $0.client, reason: $0.reason, until: $0.until?.bounded, rounds: $0.rounds)
    }
    return status
  }

  /// Returns the clients that the server waits for and their activities, in a few words; nil if it waits for none that
  /// it knows.
  ///
  /// - Parameter most: the maximum number of clients to name.
  package func missing(naming most: Int) -> String? {
    guard let awaited, !awaited.isEmpty, !hasEnded else { return nil }
    let more = max(awaitedCount ?? 0, awaited.count) - min(awaited.count, most)
    let names = awaited.prefix(most).map { "\($0.client) (\($0.doing))" }
    let list = names.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    return phase == .recruiting ? "missing clients of the last cohort: \(list)" : "missing: \(list)"
  }

  /// Whether the server has recorded its end, successful or not.
  package var hasEnded: Bool { [.finished, .stopped, .failed].contains(phase) }

  /// Whether the server that wrote this still runs, as far as known.
  package var isRunning: Bool {
    switch phase {
    case .finished, .stopped, .failed: false
    case .recruiting, .training, .aggregating, .calibrating:
      isAtWork ?? (kill(process, 0) == 0 || errno == EPERM)
    }
  }

  /// The server's activity in a few words.
  package var doing: String {
    switch phase {
    case .recruiting: "waits for clients: \(present) of \(needed) are connected\(absence)"
    case .training:
      "\(counted(cohort, "client")) \(cohort == 1 ? "trains" : "train"): \(counted(admitted, "update")) "
        + "\(admitted == 1 ? "is" : "are") admitted, \(quorum) \(quorum == 1 ? "is" : "are") needed"
    case .aggregating: "aggregates \(counted(admitted, "update"))"
    case .calibrating: "calibrates on the server's own images"
    case .finished: "the job is done"
    case .stopped: "stopped; the job continues when the server is started again"
    case .failed: reason.map { "the server ended: \($0)" } ?? "the job was given up"
    }
  }

  private var absence: String {
    switch away ?? 0 {
    case 0: ""
    case 1: ", 1 of which is not asked"
    case let away: ", \(away) of which are not asked"
    }
  }

  /// The stage and round in a few words.
  package var place: String {
    "stage \(stage) of \(stages), round \(round) of \(isOpen == true ? "at most " : "")\(rounds)"
      + (attempt > 1 ? ", attempt \(attempt)" : "")
  }
}
