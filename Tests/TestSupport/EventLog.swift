import Synchronization

/// The events of an observer, in order. A test waits for an event instead of sleeping.
package final class EventLog<Event: Sendable>: Sendable {
  private let events = Mutex<[Event]>([])
  private let ticks: AsyncStream<Void>
  private let tick: AsyncStream<Void>.Continuation

  package init() { (ticks, tick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

  package var all: [Event] { events.withLock { $0 } }

  package func note(_ event: Event) {
    events.withLock { $0.append(event) }
    tick.yield()
  }

  /// Returns the first non-nil result of `pick`, for an event noted already or a later one. Only one task at a time may
  /// wait.
  package func first<Found>(_ pick: (Event) -> Found?) async throws -> Found {
    var seen = 0
    while true {
      let fresh = events.withLock { Array($0[seen...]) }
      for event in fresh { if let found = pick(event) { return found } }
      seen += fresh.count
      var waiting = ticks.makeAsyncIterator()
      guard await waiting.next() != nil else { throw CancellationError() }
    }
  }
}
