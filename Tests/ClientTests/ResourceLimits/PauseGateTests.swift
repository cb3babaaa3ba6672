import Client
import Engine
import TestSupport
import Testing

@Suite(.unhurried) struct PauseGateTests {
  @Test func aClosedGateIsWaitedForUntilItIsOpened() async throws {
    let gate = PauseGate()
    let order = EventLog<String>()
    gate.close()
    #expect(gate.isClosed)
    async let waiting: Void = TrainingThread.run("waiting") {
      order.note("waits")
      gate.wait(for: .milliseconds(1))
      order.note("goes on")
    }
    try await order.first { $0 == "waits" ? () : nil }
    // Only time can show that it keeps waiting.
    try await Task.sleep(for: .milliseconds(50))
    order.note("opened")
    gate.open()
    try await waiting
    #expect(order.all == ["waits", "opened", "goes on"] && !gate.isClosed)
  }

  @Test(arguments: [false, true]) func aReleaseEndsEveryWait(isClosed: Bool) async throws {
    let gate = PauseGate()
    let order = EventLog<String>()
    if isClosed { gate.close() }
    async let waiting: Void = TrainingThread.run("waiting") {
      order.note("waits")
      gate.wait(for: .seconds(isClosed ? 0 : 3600))
    }
    try await order.first { $0 == "waits" ? () : nil }
    gate.release()
    try await waiting
    // Later waits end at once, too.
    gate.close()
    try await TrainingThread.run("late") { gate.wait(for: .seconds(3600)) }
  }

  @Test func aPauseLastsAsLongAsItIsTo() async throws {
    let clock = ContinuousClock()
    let gate = PauseGate()
    // Earlier signals must not shorten the wait.
    for _ in 0..<5 { gate.open() }
    let elapsed = try await TrainingThread.run("pausing") {
      clock.measure { gate.wait(for: .milliseconds(30)) }
    }
    #expect(elapsed >= .milliseconds(30), "\(elapsed)")
    try await TrainingThread.run("not pausing") { gate.wait() }
  }
}
