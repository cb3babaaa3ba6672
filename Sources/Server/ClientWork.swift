import Federation
import Foundation

/// The activity of a client, as far as the server knows it.
package enum ClientActivity: String, Sendable, Hashable, Codable, CaseIterable {
  /// The client has no task.
  case idle
  /// The client was asked to train and fetches the layers that it lacks.
  case fetching
  case training
  /// The client sends its update or waits for the verdict.
  case sending
}

/// The work of a client in one round, derived from the messages exchanged.
package struct ClientWork: Sendable {
  package let key: RoundKey
  package private(set) var activity = ClientActivity.fetching
  /// The progress of its training in the first and the last heartbeat with steps.
  private var first: Progress?
  private var last: Progress?
  /// The bytes of its update, the connection's byte count when it was offered, and the bytes received on an earlier
  /// connection.
  private var offer: (bytes: Int, received: Int, kept: Int)?

  private struct Progress {
    let step, steps: Int
    let at: Duration
  }

  /// Begins with the assignment of a round.
  package init(_ key: RoundKey) { self.key = key }

  /// Records a heartbeat. Ignores one without steps or with invalid steps; step 0 of 0 means that the training has
  /// begun and its steps are not known yet.
  package mutating func hear(_ heartbeat: Heartbeat, at now: Duration) {
    guard activity != .sending, let step = heartbeat.step, let steps = heartbeat.steps,
      steps >= 0, (0...steps).contains(step)
    else { return }
    activity = .training
    guard steps > 0 else { return }
    last = Progress(step: step, steps: steps, at: now)
    if first.map({ $0.step > step || $0.steps != steps }) ?? true { first = last }
  }

  /// The progress of its training; nil if it does not train.
  package var progress: (step: Int, steps: Int)? {
    activity == .training ? last.map { ($0.step, $0.steps) } : nil
  }

  /// Records that its update is requested.
  ///
  /// - Parameters:
  ///   - received: the bytes received on its connection so far.
  ///   - kept: the bytes of the update received on an earlier connection.
  package mutating func send(_ offer: UpdateOffer, received: Int, kept: Int) {
    guard offer.key == key else { return }
    activity = .sending
    self.offer = (offer.bytes, received, min(max(kept, 0), offer.bytes))
  }

  /// Returns the bytes of its update and the approximate number received: those of the connection, nearly all of which
  /// are the update's.
  package func update(received: Int) -> (bytes: Int, here: Int)? {
    offer.map { ($0.bytes, min($0.kept + max(received - $0.received, 0), $0.bytes)) }
  }

  /// The estimated end of its training, extrapolated from the first and last progress; nil if it is unknown.
  package var trainingEnd: Duration? {
    guard activity == .training, let first, let last, last.step > first.step else { return nil }
    let pace = (last.at - first.at).seconds / Double(last.step - first.step)
    let left = pace * Double(last.steps - last.step)
    return left < Self.longest ? last.at + .seconds(left) : nil
  }

  /// A limit in seconds that no training reaches.
  private static let longest = 1e8
}
