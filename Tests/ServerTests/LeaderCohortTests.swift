import Federation
import Foundation
import Server
import Testing
import Wire

/// Whom the leader asks and waits for, and in whose place, without sockets or clocks.
@Suite struct LeaderCohortTests {
  /// A device has its hours every day: as often as it declines, the same attempt goes on when it is there again, with what
  /// the others have brought meanwhile.
  @Test func devicesThatDeclineAreWaitedFor() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.patience = .hours(168)
      var led = try Led(plan, folder, ["a", "b"])
      for day in 0..<5 {
        let key = try #require(led.assignments["b"]).key
        #expect(key.attempt == 1)
        led.assignments["b"] = nil
        let decline = Decline(key: key, reason: "outside its hours", seconds: 36_000)
        try led.follow(led.leader.take(decline, from: "b", at: led.now))
        #expect(led.assignments["b"] == nil && led.releases.isEmpty)
        if day == 0 {
          let working = led.leader.status(since: Date(), at: led.now, Date())
          #expect(working.doing == "1 client trains: 0 updates are here, 2 are needed", "a goes on")
          #expect(try led.submit("a", distance: 0.1) == nil)
        }
        let status = led.leader.status(since: Date(), at: led.now, Date())
        #expect(status.doing == "waits for clients: 2 of 2 are here, 1 of which does not train now")
        #expect(status.admitted == 1 && status.needed == 2 && status.quorum == 2 && status.attempt == 1)
        #expect(
          status.notAsked?.map(\.client) == ["b"] && status.notAsked?.first?.reason == "outside its hours")
        try led.wait(.seconds(35_999))
        #expect(led.assignments.isEmpty)
        try led.wait(.seconds(1))
      }
      #expect(try led.submit("b", distance: 0.1) == nil)
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
      #expect(!led.notes.contains { if case .abandoned = $0 { true } else { false } })
    }
  }

  /// A replacement is stored before it hears of it, and a server that is started again goes on with it.
  @Test func anotherClientTakesThePlaceOfOneThatDeclines() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      var led = try Led(plan, folder, ["a", "b", "c"])
      let drawn = Set(led.assignments.keys)
      let (key, gone) = (RoundKey(stage: 1, round: 1), try #require(drawn.sorted().first))
      let other = try #require(Set(["a", "b", "c"]).subtracting(drawn).first)
      #expect(drawn.count == 2 && led.assignments[other] == nil)
      for effect in led.leader.take(Decline(key: key, reason: "no"), from: gone, at: led.now) {
        guard case .send(.assignment(let assignment), let name) = effect else { continue }
        #expect(name == other && assignment.key == key)
        #expect(try led.store.asked(key) == ["a", "b", "c"])
        led.assignments[name] = assignment
      }
      #expect(led.leader.round.key == key)
      #expect(try led.submit(other, distance: 0.1) == nil)
      // The server is started again; who declined is not waited for, and may take part if the place is free.
      let job = try led.store.openJob(plan, at: Date())
      let stage = try led.store.openStage(1, depth: 1, of: job, at: Date())
      let open = try #require(try led.store.openRound(of: stage))
      #expect(open.cohort == ["a", "b", "c"] && open.declined == [gone] && open.refused.isEmpty)
      #expect(open.admitted.map(\.client) == [other])
      led = try Led(plan, folder, ["a", "b", "c"])
      #expect(Set(led.assignments.keys) == drawn.subtracting([gone]), "its place is taken")
      for name in drawn.subtracting([gone]) { #expect(try led.submit(name, distance: 0.1) == nil) }
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// A client that offers what it trained for an earlier round is told so, and takes part in this one all the same.
  @Test func anOldUpdateDoesNotCountAgainstItsClientAfterARestart() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(cohort: 2, quorum: 2, rounds: .each(2), attempts: 1)
      var led = try Led(plan, folder, ["a", "b"])
      let old = try #require(led.assignments["a"])
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.1) == nil) }
      #expect(led.leader.round.key.round == 2)
      #expect(try led.submit(led.trained(old), old, from: "a") == .wrongRound)
      led = try Led(plan, folder, ["a", "b"])
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.1) == nil) }
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// An update that is refused is a failure of its client; the attempt fails only where nobody else is there.
  @Test func anotherClientTakesThePlaceOfOneThatIsRefused() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b", "c"])
      let bad = try #require(led.assignments.keys.sorted().first)
      #expect(try led.submit(bad, distance: 2) == .overNorm)
      for name in ["a", "b", "c"] where name != bad {
        #expect(try led.submit(name, distance: 0.1) == nil)
      }
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// Attempts that fail one after the other do not use up all of them in a moment.
  @Test func betweenAttemptsArePausesThatGrow() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 4)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b"])
      for pause in [1, 2, 4] {
        #expect(try led.submit("b", distance: 2) == .overNorm)
        led.assignments = [:]
        #expect(led.leader.status(since: Date(), at: led.now, Date()).phase == .recruiting)
        #expect(led.leader.nextDeadline == led.now + .seconds(pause))
        try led.wait(.milliseconds(1000 * pause - 1))
        #expect(led.assignments.isEmpty && !led.leader.hasEnded)
        try led.wait(.milliseconds(1))
        #expect(led.assignments.count == 2)
      }
      #expect(try led.submit("b", distance: 2) == .overNorm)
      #expect(led.leader.hasEnded)
    }
  }

  /// However much a client offers in vain, the rejection by which it loses its place is known after a restart.
  @Test func aRejectionThatDecidesIsRecordedAfterAnyNumberInVain() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b", "c"])
      let digest = Digest(of: Data())
      let vain = UpdateOffer(
        key: RoundKey(stage: 1, round: 99), base: digest, digest: digest, bytes: 4, samples: 1, steps: 1,
        loss: 1, seconds: 1)
      for _ in 0...Leader.mostRecorded { #expect(try led.judge(vain, Data(), from: "a") == .wrongRound) }
      let key = led.leader.round.key
      #expect(try led.submit("a", distance: 2) == .overNorm)
      #expect(led.notes.contains { if case .refused(key, "a", .overNorm) = $0 { true } else { false } })
      led = try Led(plan, folder, ["a", "b", "c"])
      #expect(led.leader.round.key == key && Set(led.assignments.keys) == ["b", "c"])
    }
  }

  /// A device that is dead is waited for once, for the plan's time, and asked again as soon as it is back.
  @Test func aMissingClientIsWaitedForOnce() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 4, quorum: 3, rounds: .each(9))
      plan.round.wait = .seconds(7)
      var led = try Led(plan, folder, ["a", "b", "c"])
      var waits: [Duration] = []
      for round in 1...7 {
        let began = led.now
        if round == 4 {
          try led.follow(led.leader.join(Hello(name: "d", software: "test"), at: led.now))
          #expect(led.assignments["d"] == nil, "the round under way has its cohort")
        }
        while led.assignments.isEmpty, let deadline = led.leader.nextDeadline {
          let status = led.leader.status(since: Date(), at: led.now, Date())
          #expect(status.needed == 4 && status.phase == .recruiting)
          try led.wait(deadline - led.now)
        }
        waits.append(led.now - began)
        let asked = led.assignments.keys.sorted()
        #expect(asked == ["a", "b", "c"] + (round == 5 ? ["d"] : []), "round \(round)")
        for name in asked.reversed() {
          #expect(try led.submit(name, distance: 0.01) == nil)
          // It is gone before the others are done.
          if name == "d" { try led.follow(led.leader.leave("d", at: led.now)) }
        }
      }
      #expect(waits == [7, 0, 0, 0, 0, 7, 0].map { .seconds($0) }, "\(waits)")
    }
  }

  /// Who came back and then failed has failed: what it declined before is over.
  @Test func aRefusalAfterADeclineIsAFailure() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b"])
      let key = try #require(led.assignments["b"]).key
      try led.follow(
        led.leader.take(Decline(key: key, reason: "on battery", seconds: 10), from: "b", at: led.now))
      try led.wait(.seconds(10))
      #expect(led.assignments["b"]?.key == key && !led.leader.hasEnded)
      #expect(try led.submit("b", distance: 2) == .overNorm)
      #expect(led.leader.hasEnded, "one attempt is all that the plan allows")
    }
  }

  /// A decline that does not say for how long is asked about again, after a while that grows.
  @Test func whoDeclinesWithoutATimeIsAskedAgain() async throws {
    try await withTemporaryFolder { folder in
      var led = try Led(Plan.tiny(cohort: 2, quorum: 2, attempts: 1), folder, ["a", "b"])
      for pause in [1, 2, 4, 8] {
        let key = try #require(led.assignments["b"]).key
        led.assignments["b"] = nil
        #expect(key == RoundKey(stage: 1, round: 1))
        try led.follow(led.leader.take(Decline(key: key, reason: "no"), from: "b", at: led.now))
        #expect(led.assignments["b"] == nil && led.leader.nextDeadline == led.now + .seconds(pause))
        try led.wait(.seconds(pause))
      }
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.1) == nil) }
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
    }
  }
}
