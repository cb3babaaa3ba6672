import Federation
import Foundation
import Support

/// What a server is doing, as it notes it in its database for whoever asks (`fedserver status`).
package struct ServerStatus: Sendable, Hashable, Codable {
  /// What a server can be doing.
  package enum Phase: String, Sendable, Codable, CaseIterable {
    /// Too few clients are here.
    case recruiting
    case training, aggregating, calibrating
    /// The job is done.
    case finished
    /// The server was stopped; the job goes on when it is started again.
    case stopped
    /// The job was given up, or something failed: then ``ServerStatus/reason`` says what.
    case failed
  }

  /// Why a client that is connected is not asked to train.
  package struct Silence: Sendable, Hashable, Codable {
    package var client: String
    package var reason: String
    /// When it is asked again; nil where that is counted in rounds.
    package var until: Date?
    /// Committed rounds after which it is asked again.
    package var rounds: Int?

    package init(client: String, reason: String, until: Date? = nil, rounds: Int? = nil) {
      (self.client, self.reason, self.until, self.rounds) = (client, reason, until, rounds)
    }

    /// Why, and when it is asked again, in a few words.
    package var explanation: String {
      if let rounds { return "\(reason); asked again after \(rounds) \(rounds == 1 ? "round" : "rounds")" }
      let time = Date.ISO8601FormatStyle(timeZone: .current).dateTimeSeparator(.space)
      return until.map { "\(reason); asked again at \($0.formatted(time))" } ?? reason
    }
  }

  /// A client that the server waits for.
  package struct Awaited: Sendable, Hashable, Codable {
    package var client: String
    /// Nil where it is not connected.
    package var activity: ClientActivity?
    /// How far its training was at its last sign of life; nil where it does not train.
    package var step: Int?
    package var steps: Int?

    package init(client: String, activity: ClientActivity? = nil, step: Int? = nil, steps: Int? = nil) {
      (self.client, self.activity, self.step, self.steps) = (client, activity, step, steps)
    }

    /// What it does, in a few words.
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

  /// More of them would make a note of what the server does a long one.
  package static let mostSilences = 100

  package var phase: Phase
  /// Counted from 1.
  package var stage: Int
  package var stages: Int
  /// Counted from 1 in each stage.
  package var round: Int
  package var rounds: Int
  /// Whether the stage may end before its last round; nil: not.
  package var isOpen: Bool?
  package var attempt: Int
  /// Clients that are connected.
  package var present: Int
  /// How many of them said that they will not train for now; nil of an earlier version.
  package var away: Int?
  /// Clients without which a round does not begin: all that the plan wants at first, later the quorum.
  package var needed: Int
  /// Clients that train or have trained, and whose updates are admitted.
  package var cohort: Int
  package var admitted: Int
  package var quorum: Int
  /// When the phase began, and when it ends at the latest; nil where nothing but the clients can end it.
  package var since: Date
  package var until: Date?
  /// The process.
  package var process: Int32
  /// Why the server ended before its job did; nil where it did not, or where the last attempt at a round tells.
  package var reason: String?
  /// Clients that are connected and are not asked for now, by name, so many at most; nil without any.
  package var notAsked: [Silence]?
  /// Clients that are waited for, in natural order, so many at most: those of the cohort whose updates may still come,
  /// and before there is one those of the last that are not connected. Nil without any.
  package var awaited: [Awaited]?
  /// How many they are in all.
  package var awaitedCount: Int?
  /// When the slowest of them will have trained if it goes on as it did; nil where that is not known.
  package var trainingEnd: Date?
  /// Updates that were rejected so far, by reason; counted when it is read.
  package var rejections: [String: Int]?

  /// Whether a server has the database's lock; told when it is read, and nil where whoever reads may not know.
  package var isAtWork: Bool?

  /// What is stored, and told to programs.
  private enum CodingKeys: String, CodingKey {
    case phase, stage, stages, round, rounds, isOpen, attempt, present, away, needed, cohort, admitted,
      quorum, since,
      until
    case process, reason, notAsked, awaited, awaitedCount, trainingEnd, rejections
  }

  /// The same without how far clients are in their training.
  var withoutProgress: ServerStatus {
    var status = self
    status.trainingEnd = nil
    status.awaited = awaited?.map { Awaited(client: $0.client, activity: $0.activity) }
    return status
  }

  /// The same with dates that calendars know, whatever a database says.
  var bounded: ServerStatus {
    var status = self
    (status.since, status.until) = (since.bounded, until?.bounded)
    status.trainingEnd = trainingEnd?.bounded
    status.notAsked = notAsked?.map {
      Silence(client: $0.client, reason: $0.reason, until: $0.until?.bounded, rounds: $0.rounds)
    }
    return status
  }

  /// Whom it waits for and what they do, in a few words; nil where it waits for nobody that it knows.
  ///
  /// - Parameter most: how many are named.
  package func missing(naming most: Int) -> String? {
    guard let awaited, !awaited.isEmpty, !hasEnded else { return nil }
    let more = max(awaitedCount ?? 0, awaited.count) - min(awaited.count, most)
    let names = awaited.prefix(most).map { "\($0.client) (\($0.doing))" }
    let list = names.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    return phase == .recruiting ? "of the last cohort are missing: \(list)" : "missing: \(list)"
  }

  /// Whether the server has said that it ended, in good order or not.
  package var hasEnded: Bool { [.finished, .stopped, .failed].contains(phase) }

  /// Whether the server that wrote this is still there, as far as can be told.
  package var isRunning: Bool {
    switch phase {
    case .finished, .stopped, .failed: false
    case .recruiting, .training, .aggregating, .calibrating:
      isAtWork ?? (kill(process, 0) == 0 || errno == EPERM)
    }
  }

  /// What it does, in a few words.
  package var doing: String {
    switch phase {
    case .recruiting: "waits for clients: \(present) of \(needed) are here\(absence)"
    case .training:
      "\(counted(cohort, "client")) \(cohort == 1 ? "trains" : "train"): \(counted(admitted, "update")) "
        + "\(admitted == 1 ? "is" : "are") here, \(quorum) \(quorum == 1 ? "is" : "are") needed"
    case .aggregating: "makes one model of \(counted(admitted, "update"))"
    case .calibrating: "trains on images of the server's own"
    case .finished: "the job is done"
    case .stopped: "stopped; the job goes on when the server is started again"
    case .failed: reason.map { "the server ended: \($0)" } ?? "the job was given up"
    }
  }

  private var absence: String {
    switch away ?? 0 {
    case 0: ""
    case 1: ", 1 of which does not train now"
    case let away: ", \(away) of which do not train now"
    }
  }

  /// Where in the job it is, in a few words.
  package var place: String {
    "stage \(stage) of \(stages), round \(round) of \(isOpen == true ? "at most " : "")\(rounds)"
      + (attempt > 1 ? ", attempt \(attempt)" : "")
  }
}
