import Foundation

/// The events of an observer, in order. A test waits for an event instead of sleeping.
package final class EventLog<Event: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var events: [Event] = []
  private let ticks: AsyncStream<Void>
  private let tick: AsyncStream<Void>.Continuation

  package init() { (ticks, tick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

  package var all: [Event] { lock.withLock { events } }

  package func note(_ event: Event) {
    lock.withLock { events.append(event) }
    tick.yield()
  }

  /// Returns the first non-nil result of `pick`, for an event noted already or a later one. Only one task at a time may
  /// wait.
  package func first<Found>(_ pick: (Event) -> Found?) async throws -> Found {
    var seen = 0
    while true {
      let fresh = all[seen...]
      for event in fresh { if let found = pick(event) { return found } }
      seen += fresh.count
      var waiting = ticks.makeAsyncIterator()
      guard await waiting.next() != nil else { throw CancellationError() }
    }
  }
}
