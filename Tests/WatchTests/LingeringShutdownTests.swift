import Foundation
import TestSupport
import Testing
import Watch

@Suite(.unhurried(slack: 1)) struct LingeringShutdownTests {
  private let start = ContinuousClock.now

  private func request(_ path: String, page: String? = nil) throws -> WebRequest {
    let mark = page.map { "\r\nStrata-Page: \($0)" } ?? ""
    return try WebRequest(Data("GET \(path) HTTP/1.1\r\nHost: a\r\nUser-Agent: x/1\(mark)".utf8))
  }

  /// Returns how long the server waits after the end, in seconds.
  private func wait(_ shutdown: LingeringShutdown, at now: Double, within patience: Duration = .seconds(20))
    -> Double
  {
    let end = start + .seconds(now)
    let (seconds, fraction) = (shutdown.end(at: end, within: patience) - end).components
    return Double(seconds) + Double(fraction) / 1e18
  }

  @Test func nobodyIsWaitedForWhereNobodyLooks() async throws {
    let shutdown = LingeringShutdown()
    _ = shutdown.comes(with: try request("/"), at: start)
    _ = shutdown.comes(with: try request("/healthz"), at: start)
    _ = shutdown.comes(with: try request("/healthz"), at: start + .seconds(1))
    #expect(wait(shutdown, at: 2) == 0)
    // With no pollers there is nothing to wait for, whatever the deadline.
    await shutdown.leaves(by: start + Unhurried.limit)
  }

  @Test func aPageThatWasClosedIsNotWaitedFor() throws {
    let shutdown = LingeringShutdown()
    _ = shutdown.comes(with: try request("/", page: "a"), at: start)
    #expect(wait(shutdown, at: 4) == 20, "it may have been late once")
    let closed = LingeringShutdown()
    _ = closed.comes(with: try request("/", page: "a"), at: start)
    #expect(wait(closed, at: 6) == 0)
  }

  /// A poller with an interval of 15 seconds returns in time, or not, or has gone.
  @Test(arguments: [
    (pause: 15.0, end: 18.0, patience: 20, wait: 20.0), (15, 34, 20, 0), (15, 18, 5, 0), (15, 28, 5, 5),
    (60, 70, 20, 0), (0.1, 0.2, 20, 0),
  ])
  func aScraperIsWaitedForWhereItIsExpected(
    pause: Double, end: Double, patience: Int, wait expected: Double
  ) throws {
    let shutdown = LingeringShutdown()
    for time in [0, pause] { _ = shutdown.comes(with: try request("/metrics"), at: start + .seconds(time)) }
    #expect(abs(wait(shutdown, at: end, within: .seconds(patience)) - expected) < 1e-6)
  }

  @Test func whoHasHeardIsNotWaitedFor() async throws {
    let shutdown = LingeringShutdown()
    for page in ["a", "b"] { _ = shutdown.comes(with: try request("/", page: page), at: start) }
    let early = shutdown.comes(with: try request("/", page: "a"), at: start)
    let deadline = shutdown.end(at: start, within: Unhurried.limit * 2)
    // A request before the end may have had the earlier state as its answer.
    early()
    for page in ["a", "b"] { shutdown.comes(with: try request("/", page: page), at: start)() }
    await shutdown.leaves(by: deadline)
    #expect(ContinuousClock.now < deadline, "both have heard before the time was over")
  }

  @Test func whoeverIsInAHurryDoesNotWait() async throws {
    let shutdown = LingeringShutdown()
    shutdown.hurry()
    _ = shutdown.comes(with: try request("/", page: "a"), at: start)
    let deadline = shutdown.end(at: start, within: Unhurried.limit * 2)
    #expect(deadline > start)
    shutdown.hurry()
    await shutdown.leaves(by: deadline)
    #expect(ContinuousClock.now < deadline)
  }

  @Test func madeUpNamesTakeNoMoreThanTheyMay() throws {
    let shutdown = LingeringShutdown()
    for number in 0..<1000 { _ = shutdown.comes(with: try request("/", page: "\(number)"), at: start) }
    // Pollers that have gone make space for a current one.
    _ = shutdown.comes(with: try request("/", page: "here"), at: start + .seconds(30))
    #expect(wait(shutdown, at: 31) == 20)
  }
}
