import Federation
import Foundation

/// What a client does, as far as its server sees it.
package enum ClientActivity: String, Sendable, Hashable, Codable, CaseIterable {
  /// It has nothing to do.
  case idle
  /// It was asked to train, and has not begun: it fetches the layers that it lacks.
  case fetching
  case training
  /// Its update is on its way, or waits for the server's verdict.
  case sending
}

/// The work of a client on one round: it follows from what the server sends and hears.
package struct ClientWork: Sendable {
  package let key: RoundKey
  package private(set) var activity = ClientActivity.fetching
  /// How far its training was at the first and the last sign of it.
  private var first: Progress?
  private var last: Progress?
  /// Bytes of its update, and how many of them had come, by the connection's count and of an earlier connection, when
  /// it was offered.
  private var offer: (bytes: Int, received: Int, kept: Int)?

  private struct Progress {
    let step, steps: Int
    let at: Duration
  }

  /// It was asked to train.
  package init(_ key: RoundKey) { self.key = key }

  /// A sign of life. One without steps, or with steps that make no sense, says nothing new; step 0 of 0 is that of a
  /// training whose steps are not known yet.
  package mutating func hear(_ heartbeat: Heartbeat, at now: Duration) {
    guard activity != .sending, let step = heartbeat.step, let steps = heartbeat.steps,
      steps >= 0, (0...steps).contains(step)
    else { return }
    activity = .training
    guard steps > 0 else { return }
    last = Progress(step: step, steps: steps, at: now)
    if first.map({ $0.step > step || $0.steps != steps }) ?? true { first = last }
  }

  /// How far its training is; nil where it does not train.
  package var progress: (step: Int, steps: Int)? {
    activity == .training ? last.map { ($0.step, $0.steps) } : nil
  }

  /// Its update is wanted.
  ///
  /// - Parameters:
  ///   - received: bytes of its connection so far.
  ///   - kept: bytes of the update that an earlier connection has brought.
  package mutating func send(_ offer: UpdateOffer, received: Int, kept: Int) {
    guard offer.key == key else { return }
    activity = .sending
    self.offer = (offer.bytes, received, min(max(kept, 0), offer.bytes))
  }

  /// Bytes of its update, and how many of them are here, about: those of the connection, of which nearly all are the
  /// update's.
  package func update(received: Int) -> (bytes: Int, here: Int)? {
    offer.map { ($0.bytes, min($0.kept + max(received - $0.received, 0), $0.bytes)) }
  }

  /// When its training will be over if it goes on as it did from the first sign of it to the last; nil where that
  /// cannot be told.
  package var trainingEnd: Duration? {
    guard activity == .training, let first, let last, last.step > first.step else { return nil }
    let pace = (last.at - first.at).seconds / Double(last.step - first.step)
    let left = pace * Double(last.steps - last.step)
    return left < Self.longest ? last.at + .seconds(left) : nil
  }

  /// Seconds that no round takes.
  private static let longest = 1e8
}
