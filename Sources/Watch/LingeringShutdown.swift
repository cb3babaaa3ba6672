import Foundation
import Synchronization

/// Delays the end of the status page until its pollers have received how the job ended.
///
/// An open page identifies itself by a header. Other pollers are identified by user agent and path, and count from
/// their second request.
package final class LingeringShutdown: Sendable {
  package typealias Instant = ContinuousClock.Instant

  private struct Poller {
    /// The time of the last request or its response.
    var last: Instant
    /// The interval between requests; nil after a single request.
    var pause: Duration?

    /// Returns whether the next request is expected within `patience`.
    func isExpected(at now: Instant, within patience: Duration) -> Bool {
      guard let pause else { return false }
      return last + pause + WebLimits.lateness > now && last + pause < now + patience
    }
  }

  private struct State {
    var pollers: [String: Poller] = [:]
    /// The pollers that have not received the end; nil before the end.
    var unaware: Set<String>?
  }

  private let state = Mutex(State())
  private let (departures, departure) = AsyncStream<Void>.makeStream()

  /// The header that identifies an open page.
  package static let header = "strata-page"
  /// Requests within this interval are not regular polling.
  private static let burst = Duration.milliseconds(500)
  /// The maximum number of pollers, so that made-up names cannot exhaust the memory.
  private static let most = 256

  package init() {}

  /// Records a request. Returns a function to call when its response has been sent.
  package func comes(with request: WebRequest, at now: Instant = .now) -> @Sendable () -> Void {
    guard let name = Self.name(request) else { return {} }
    let isTold = state.withLock { state -> Bool in
      var poller = state.pollers[name] ?? Poller(last: now)
      if request.headers[Self.header] != nil {
        poller.pause = WebLimits.pagePause
      } else if now - poller.last > Self.burst {
        poller.pause = now - poller.last
      }
      poller.last = now
      if state.pollers[name] != nil || Self.hasRoom(&state, at: now) { state.pollers[name] = poller }
      return state.unaware != nil
    }
    return { self.hasAnswer(name, isAware: isTold) }
  }

  /// Records the end of the job, which all later responses report. Returns the deadline for the expected pollers; `now`
  /// if there are none.
  package func end(at now: Instant = .now, within patience: Duration) -> Instant {
    let isAlone = state.withLock { state in
      let expected = state.pollers.filter { $0.value.isExpected(at: now, within: patience) }
      state.unaware = Set(expected.keys)
      return expected.isEmpty
    }
    if isAlone { departure.finish() }
    return isAlone ? now : now + patience
  }

  /// Waits until all expected pollers have received the end, until the deadline, or until ``hurry()``.
  package func leaves(by deadline: Instant) async {
    let limit = Task { [departure] in
      try? await Task.sleep(until: deadline, clock: .continuous)
      departure.finish()
    }
    defer { limit.cancel() }
    for await _ in departures {}
  }

  /// Ends the waiting, if the job has ended.
  package func hurry() {
    if state.withLock({ $0.unaware != nil }) { departure.finish() }
  }

  private func hasAnswer(_ name: String, isAware: Bool) {
    let isLast = state.withLock { state in
      state.pollers[name]?.last = .now
      return isAware && state.unaware?.remove(name) != nil && state.unaware?.isEmpty == true
    }
    if isLast { departure.finish() }
  }

  /// Returns whether another poller can be recorded, after removing those that are gone.
  private static func hasRoom(_ state: inout State, at now: Instant) -> Bool {
    if state.pollers.count >= most {
      state.pollers = state.pollers.filter { $0.value.last + WebLimits.farewell > now }
    }
    return state.pollers.count < most
  }

  private static func name(_ request: WebRequest) -> String? {
    guard request.path == "/" || request.path == "/metrics" || request.path.hasPrefix("/api/") else {
      return nil
    }
    let name = request.headers[header] ?? request.headers["user-agent"] ?? ""
    return "\(request.path) \(name.prefix(100))"
  }
}
