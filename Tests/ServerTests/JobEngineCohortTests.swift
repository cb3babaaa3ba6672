import TestSupport
import Federation
import Foundation
import Server
import Testing
import Wire

/// The clients that the job engine asks, waits for and replaces, without sockets or clocks.
@Suite struct JobEngineCohortTests {
  /// A device is limited to certain hours. However often it declines, the same attempt continues with the others'
  /// updates when it is available again.
  @Test func devicesThatDeclineAreWaitedFor() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.timeout = .hours(168)
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      for day in 0..<5 {
        let key = try #require(driver.assignments["b"]).key
        #expect(key.attempt == 1)
        driver.assignments["b"] = nil
        let decline = Decline(key: key, reason: "outside its hours", seconds: 36_000)
        try driver.follow(driver.engine.take(decline, from: "b", at: driver.now))
        #expect(driver.assignments["b"] == nil && driver.releases.isEmpty)
        if day == 0 {
          let working = driver.engine.status(since: Date(), at: driver.now, Date())
          #expect(working.doing == "1 client trains: 0 updates are admitted, 2 are needed", "a goes on")
          #expect(try driver.submit("a", distance: 0.1) == nil)
        }
        let status = driver.engine.status(since: Date(), at: driver.now, Date())
        #expect(status.doing == "waits for clients: 2 of 2 are connected, 1 of which is not asked")
        #expect(status.admitted == 1 && status.needed == 2 && status.quorum == 2 && status.attempt == 1)
        #expect(
          status.notAsked?.map(\.client) == ["b"] && status.notAsked?.first?.reason == "outside its hours")
        try driver.wait(.seconds(35_999))
        #expect(driver.assignments.isEmpty)
        try driver.wait(.seconds(1))
      }
      #expect(try driver.submit("b", distance: 0.1) == nil)
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
      #expect(!driver.notes.contains { if case .abandoned = $0 { true } else { false } })
    }
  }

  /// A replacement is stored before it is asked, and a restarted server continues with it.
  @Test func anotherClientTakesThePlaceOfOneThatDeclines() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let drawn = Set(driver.assignments.keys)
      let (key, gone) = (RoundKey(stage: 1, round: 1), try #require(drawn.sorted().first))
      let other = try #require(Set(["a", "b", "c"]).subtracting(drawn).first)
      #expect(drawn.count == 2 && driver.assignments[other] == nil)
      for effect in driver.engine.take(Decline(key: key, reason: "no"), from: gone, at: driver.now) {
        guard case .send(.assignment(let assignment), let name) = effect else { continue }
        #expect(name == other && assignment.key == key)
        #expect(try driver.store.asked(key) == ["a", "b", "c"])
        driver.assignments[name] = assignment
      }
      #expect(driver.engine.round.key == key)
      #expect(try driver.submit(other, distance: 0.1) == nil)
      // After the restart, the server does not wait for the client that declined, which may take part if a place is
      // free.
      let job = try driver.store.openJob(plan, at: Date())
      let stage = try driver.store.openStage(1, depth: 1, of: job, at: Date())
      let open = try #require(try driver.store.openRound(of: stage))
      #expect(open.cohort == ["a", "b", "c"] && open.declined == [gone] && open.rejected.isEmpty)
      #expect(open.admitted.map(\.client) == [other])
      driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      #expect(Set(driver.assignments.keys) == drawn.subtracting([gone]), "its place is taken")
      for name in drawn.subtracting([gone]) { #expect(try driver.submit(name, distance: 0.1) == nil) }
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// A client that offers an update of an earlier round is rejected for it, and can still take part in this one.
  @Test func anOldUpdateDoesNotCountAgainstItsClientAfterARestart() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(cohort: 2, quorum: 2, rounds: .each(2), attempts: 1)
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      let old = try #require(driver.assignments["a"])
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.1) == nil) }
      #expect(driver.engine.round.key.round == 2)
      #expect(try driver.submit(driver.trained(old), old, from: "a") == .wrongRound)
      driver = try JobEngineDriver(plan, folder, ["a", "b"])
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.1) == nil) }
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// A rejected update counts against its client; the attempt fails only without a replacement.
  @Test func anotherClientTakesThePlaceOfOneThatIsRejected() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let bad = try #require(driver.assignments.keys.sorted().first)
      #expect(try driver.submit(bad, distance: 2) == .overNorm)
      for name in ["a", "b", "c"] where name != bad {
        #expect(try driver.submit(name, distance: 0.1) == nil)
      }
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// Pauses between failed attempts prevent them from being used up in a moment.
  @Test func betweenAttemptsArePausesThatGrow() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 4)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      for pause in [1, 2, 4] {
        #expect(try driver.submit("b", distance: 2) == .overNorm)
        driver.assignments = [:]
        #expect(driver.engine.status(since: Date(), at: driver.now, Date()).phase == .recruiting)
        #expect(driver.engine.nextDeadline == driver.now + .seconds(pause))
        try driver.wait(.milliseconds(1000 * pause - 1))
        #expect(driver.assignments.isEmpty && !driver.engine.hasEnded)
        try driver.wait(.milliseconds(1))
        #expect(driver.assignments.count == 2)
      }
      #expect(try driver.submit("b", distance: 2) == .overNorm)
      #expect(driver.engine.hasEnded)
    }
  }

  /// A client may decline for longer, but is asked again after a day.
  @Test func aDeclineHoldsForADayAtMost() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2)
      plan.round.timeout = .hours(300)
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      let decline = Decline(key: driver.engine.round.key, reason: "away", seconds: 10 * 86_400)
      driver.assignments["b"] = nil
      try driver.follow(driver.engine.take(decline, from: "b", at: .zero))
      #expect(try driver.submit("a", distance: 0.1) == nil)
      try driver.wait(.seconds(86_399))
      #expect(driver.assignments["b"] == nil)
      try driver.wait(.seconds(1))
      #expect(driver.assignments["b"] != nil)
    }
  }

  /// However many offers are in vain, the rejection that costs a client its place is known after a restart.
  @Test func aRejectionThatDecidesIsRecordedAfterAnyNumberInVain() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let digest = Digest(of: Data())
      let vain = UpdateOffer(
        key: RoundKey(stage: 1, round: 99), base: digest, digest: digest, bytes: 4, samples: 1, steps: 1,
        loss: 1, seconds: 1)
      for _ in 0...JobEngine.mostRecorded {
        #expect(try driver.judge(vain, Data(), from: "a") == .wrongRound)
      }
      let key = driver.engine.round.key
      #expect(try driver.submit("a", distance: 2) == .overNorm)
      #expect(driver.notes.contains { if case .rejected(key, "a", .overNorm) = $0 { true } else { false } })
      driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      #expect(driver.engine.round.key == key && Set(driver.assignments.keys) == ["b", "c"])
    }
  }

  /// A round waits once for a dead device, for the plan's time; the device is asked again when it returns.
  @Test func aMissingClientIsWaitedForOnce() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 4, quorum: 3, rounds: .each(9))
      plan.round.wait = .seconds(7)
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      var waits: [Duration] = []
      for round in 1...7 {
        let began = driver.now
        if round == 4 {
          try driver.follow(driver.engine.join(Hello(name: "d", software: "test"), at: driver.now))
          #expect(driver.assignments["d"] == nil, "the round under way has its cohort")
        }
        while driver.assignments.isEmpty, let deadline = driver.engine.nextDeadline {
          let status = driver.engine.status(since: Date(), at: driver.now, Date())
          #expect(status.needed == 4 && status.phase == .recruiting)
          try driver.wait(deadline - driver.now)
        }
        waits.append(driver.now - began)
        let asked = driver.assignments.keys.sorted()
        #expect(asked == ["a", "b", "c"] + (round == 5 ? ["d"] : []), "round \(round)")
        for name in asked.reversed() {
          #expect(try driver.submit(name, distance: 0.01) == nil)
          // It disconnects before the others have finished.
          if name == "d" { try driver.follow(driver.engine.leave("d", at: driver.now)) }
        }
      }
      #expect(waits == [7, 0, 0, 0, 0, 7, 0].map { .seconds($0) }, "\(waits)")
    }
  }

  /// A rejection counts as a failure although the client had declined before.
  @Test func aRejectionAfterADeclineIsAFailure() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      let key = try #require(driver.assignments["b"]).key
      try driver.follow(
        driver.engine.take(Decline(key: key, reason: "on battery", seconds: 10), from: "b", at: driver.now))
      try driver.wait(.seconds(10))
      #expect(driver.assignments["b"]?.key == key && !driver.engine.hasEnded)
      #expect(try driver.submit("b", distance: 2) == .overNorm)
      #expect(driver.engine.hasEnded, "one attempt is all that the plan allows")
    }
  }

  /// A client that declined without a time is asked again, at growing intervals.
  @Test func whoDeclinesWithoutATimeIsAskedAgain() async throws {
    try await withTemporaryFolder { folder in
      var driver = try JobEngineDriver(Plan.tiny(cohort: 2, quorum: 2, attempts: 1), folder, ["a", "b"])
      for pause in [1, 2, 4, 8] {
        let key = try #require(driver.assignments["b"]).key
        driver.assignments["b"] = nil
        #expect(key == RoundKey(stage: 1, round: 1))
        try driver.follow(driver.engine.take(Decline(key: key, reason: "no"), from: "b", at: driver.now))
        #expect(driver.assignments["b"] == nil && driver.engine.nextDeadline == driver.now + .seconds(pause))
        try driver.wait(.seconds(pause))
      }
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.1) == nil) }
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    }
  }
}
