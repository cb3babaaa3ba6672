import Client
import Engine
import TestSupport
import Testing

@Suite(.unhurried) struct BrakeTests {
  @Test func aHeldBrakeIsWaitedForUntilItIsLetGo() async throws {
    let brake = Brake()
    let order = EventLog<String>()
    brake.hold()
    #expect(brake.isHeld)
    async let waiting: Void = TrainingThread.run("waiting") {
      order.note("waits")
      brake.wait(for: .milliseconds(1))
      order.note("goes on")
    }
    try await order.first { $0 == "waits" ? () : nil }
    // Only time shows that it stays.
    try await Task.sleep(for: .milliseconds(50))
    order.note("let go")
    brake.letGo()
    try await waiting
    #expect(order.all == ["waits", "let go", "goes on"] && !brake.isHeld)
  }

  @Test(arguments: [false, true]) func aReleaseEndsEveryWait(isHeld: Bool) async throws {
    let brake = Brake()
    let order = EventLog<String>()
    if isHeld { brake.hold() }
    async let waiting: Void = TrainingThread.run("waiting") {
      order.note("waits")
      brake.wait(for: .seconds(isHeld ? 0 : 3600))
    }
    try await order.first { $0 == "waits" ? () : nil }
    brake.release()
    try await waiting
    // And those that would begin later.
    brake.hold()
    try await TrainingThread.run("late") { brake.wait(for: .seconds(3600)) }
  }

  @Test func aPauseLastsAsLongAsItIsTo() async throws {
    let clock = ContinuousClock()
    let brake = Brake()
    // Signals of before must not cut it short.
    for _ in 0..<5 { brake.letGo() }
    let elapsed = try await TrainingThread.run("pausing") {
      clock.measure { brake.wait(for: .milliseconds(30)) }
    }
    #expect(elapsed >= .milliseconds(30), "\(elapsed)")
    try await TrainingThread.run("not pausing") { brake.wait() }
  }
}
