import Federation
import Foundation

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
    /// The job was given up, or something failed.
    case failed
  }

  package var phase: Phase
  /// Counted from 1.
  package var stage: Int
  package var stages: Int
  /// Counted from 1 in each stage.
  package var round: Int
  package var rounds: Int
  package var attempt: Int
  /// Clients that are connected.
  package var present: Int
  /// Clients without which a round does not begin: all that the plan wants at first, later the quorum.
  package var needed: Int
  /// Clients that were asked to train, and whose updates are admitted.
  package var cohort: Int
  package var admitted: Int
  package var quorum: Int
  /// When the phase began, and when it ends at the latest; nil where nothing but the clients can end it.
  package var since: Date
  package var until: Date?
  /// The process.
  package var process: Int32
  /// Updates that were refused so far, by reason; counted when it is read.
  package var refusals: [String: Int]?

  /// Whether the process that wrote this is still there.
  package var isRunning: Bool {
    switch phase {
    case .finished, .stopped, .failed: false
    case .recruiting, .training, .aggregating, .calibrating: kill(process, 0) == 0 || errno == EPERM
    }
  }

  /// What it does, in a few words.
  package var doing: String {
    switch phase {
    case .recruiting: "waits for clients: \(present) of \(needed) are here"
    case .training:
      "\(counted(cohort, "client")) \(cohort == 1 ? "trains" : "train"): \(counted(admitted, "update")) "
        + "\(admitted == 1 ? "is" : "are") here, \(quorum) \(quorum == 1 ? "is" : "are") needed"
    case .aggregating: "makes one model of \(counted(admitted, "update"))"
    case .calibrating: "trains on images of the server's own"
    case .finished: "the job is done"
    case .stopped: "stopped; the job goes on when the server is started again"
    case .failed: "the job was given up"
    }
  }

  /// Where in the job it is, in a few words.
  package var place: String {
    "stage \(stage) of \(stages), round \(round) of \(rounds)" + (attempt > 1 ? ", attempt \(attempt)" : "")
  }
}
