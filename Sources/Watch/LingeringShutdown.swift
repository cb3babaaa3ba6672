import Foundation
import Synchronization

/// Delays the end of the status page until those who poll it have heard how the job ended.
///
/// An open page says who it is in a header. Anybody else is known by name and path, and counts from the second time.
package final class LingeringShutdown: Sendable {
  package typealias Instant = ContinuousClock.Instant

  private struct Poller {
    /// When it came, or had its answer.
    var last: Instant
    /// The time between two looks; nil where there was one only.
    var pause: Duration?

    /// Whether it will come again in so long, as far as can be told.
    func isExpected(at now: Instant, within patience: Duration) -> Bool {
      guard let pause else { return false }
      return last + pause + WebLimits.lateness > now && last + pause < now + patience
    }
  }

  private struct State {
    var pollers: [String: Poller] = [:]
    /// Those who have not heard of the end; nil before it.
    var unaware: Set<String>?
  }

  private let state = Mutex(State())
  private let (departures, departure) = AsyncStream<Void>.makeStream()

  /// The header by which an open page is told from another.
  package static let header = "strata-page"
  /// Who asks twice within so long does not come regularly.
  private static let burst = Duration.milliseconds(500)
  /// More are not remembered: nobody who makes up names takes the memory.
  private static let most = 256

  package init() {}

  /// Somebody asks. Returns what is to be called when the answer is on its way.
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

  /// The job has ended: whoever comes from now on hears of it. Returns until when those are waited for who are
  /// expected; that is `now` where nobody is.
  package func end(at now: Instant = .now, within patience: Duration) -> Instant {
    let isAlone = state.withLock { state in
      let expected = state.pollers.filter { $0.value.isExpected(at: now, within: patience) }
      state.unaware = Set(expected.keys)
      return expected.isEmpty
    }
    if isAlone { departure.finish() }
    return isAlone ? now : now + patience
  }

  /// Returns when all who were expected have heard of the end, or nobody is waited for any more.
  package func leaves(by deadline: Instant) async {
    let limit = Task { [departure] in
      try? await Task.sleep(until: deadline, clock: .continuous)
      departure.finish()
    }
    defer { limit.cancel() }
    for await _ in departures {}
  }

  /// Nobody is waited for, where the end has come.
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

  /// Whether one more can be remembered. Those who have gone are forgotten for it.
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
