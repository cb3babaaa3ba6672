import Foundation
import TestSupport
import Testing
import Wire

/// Either daemon is killed repeatedly at any moment, and nothing is lost or repeated.
@Suite(.unhurried) struct ResumeTests {
  private static let rounds = 100
  private static let kills = 25

  @Test func whateverIsKilledTheJobIsFinished() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededNumbers(seed: seed)
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: Self.rounds)
      func start(_ who: Int, _ address: String) throws -> Command {
        guard who > 0 else {
          return try Command(
            "fedserver", ["run", plan, "--listen", address, "--database", folder.path("strata.sqlite")])
        }
        return try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", "device-\(who)", "--data", "shapes:32", "--state",
            folder.path("device-\(who)"), "--threads", "1", "--patience", Unhurried.patience,
          ])
      }
      var running = [try start(0, "\(Endpoint.ownHost()):0")]
      let line = try await running[0].errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      for who in 1...2 { running.append(try start(who, address)) }
      var logs = ["", "", ""]
      for _ in 0..<Self.kills {
        // The moment and the daemon are random.
        try await Task.sleep(for: .milliseconds(Int.random(in: 5...250, using: &random)))
        let who = Int.random(in: 0...2, using: &random)
        running[who].cut()
        let outcome = try await running[who].outcome()
        guard outcome.code == -9 else { break }  // It had finished before.
        logs[who] += outcome.errors
        running[who] = try start(who, address)
      }
      for who in [0, 1, 2] {
        let outcome = try await running[who].outcome()
        logs[who] += outcome.errors
        #expect(outcome.code == 0, "seed \(seed): \(outcome)")
      }
      expectNothingLostOrDoneTwice(logs, seed)
    }
  }

  private func expectNothingLostOrDoneTwice(_ logs: [String], _ seed: UInt64) {
    let committed = logs[0].matches(of: /(stage \d+ round \d+) is committed: 2 clients/).map { String($0.1) }
    let expected = [1, 2].flatMap { stage in (1...Self.rounds).map { "stage \(stage) round \($0)" } }
    // A server killed between its commit and its log line has committed nevertheless.
    #expect(Set(committed).count == committed.count, "seed \(seed)")
    #expect(committed == expected.filter(Set(committed).contains), "seed \(seed)")
    for who in [1, 2] {
      let trained = logs[who].matches(of: /(stage [^:]*): trained on/).map { String($0.1) }
      #expect(Set(trained).count == trained.count, "device-\(who) trained twice for a round, seed \(seed)")
    }
    for log in logs { #expect(!log.contains("Fatal error"), "seed \(seed)") }
  }
}

/// SplitMix64, so that a printed seed repeats the choices, but not the timing.
struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
