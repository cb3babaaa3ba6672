import Engine
import Federation
import Foundation
import GRDB
import Server
import Support
import Synchronization
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct CoordinatorTests {
  private static let names = ["a", "b", "c"]
  private static let samples = ["a": 10, "b": 30, "c": 5]
  private static let constants: [String: Float] = ["a": 0.25, "b": -1, "c": 3]

  /// Runs all three clients to the end of the job; `turn` is awaited before each offer.
  private func takePart(
    at endpoint: Endpoint,
    before turn: @escaping @Sendable (String, Assignment) async throws -> Void = { _, _ in }
  ) async throws -> [String: [ScriptedClient.Turn]] {
    try await withThrowingTaskGroup(of: (String, [ScriptedClient.Turn]).self) { group in
      for name in Self.names {
        let client = try await ScriptedClient.welcome(name, at: endpoint)
        group.addTask {
          let turns = try await client.takePart(
            samples: Self.samples[name]!, adding: Self.constants[name]!
          ) { try await turn(name, $0) }
          return (name, turns)
        }
      }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  @Test func aJobOfTwoStagesCommitsWeightedMeans() async throws {
    let plan = Plan.tiny(rounds: .list([2, 1]))
    try await withServer(plan) { server, path in
      let turns = try await takePart(at: server.endpoint)
      let final = try await server.result()
      #expect(turns.values.allSatisfy { $0.count == 3 })
      let total = Float(Self.samples.values.reduce(0, +))
      for index in 0..<3 {
        let round = Self.names.map { turns[$0]![index] }
        let assignment = round[0].assignment
        #expect(round.allSatisfy { $0.assignment.parts == assignment.parts }, "round \(index)")
        #expect(Set(round.map(\.assignment.seed)).count == 3, "each client has a seed of its own")
        var mean = [Double](repeating: 0, count: round[0].update.count / 4)
        for turn in round {
          let weight = Double(turn.samples) / Double(total)
          for (place, value) in turn.update.floats.enumerated() { mean[place] += weight * Double(value) }
        }
        // The next round starts from this mean, or the job ends with it.
        let next = index < 2 ? turns["a"]![index + 1] : nil
        let committed = assignment.trained.flatMap { name in
          let parts = next?.assignment.parts ?? final.manifest
          let digest = parts.first { $0.name == name }!.digest
          return (next?.weights[digest] ?? final.data(digest))!.floats
        }
        #expect(committed.count == mean.count)
        #expect(zip(committed, mean).allSatisfy { abs(Double($0) - $1) < 1e-5 }, "round \(index)")
      }
      try check(turns, path, plan)
      #expect(final.stage.index == 2)
    }
  }

  /// Layer-wise: the frozen layers are those of the previous stage, and the store has every round.
  private func check(_ turns: [String: [ScriptedClient.Turn]], _ path: String, _ plan: Plan) throws {
    let assignments = turns["a"]!.map(\.assignment)
    #expect(assignments.map(\.key.stage) == [1, 1, 2] && assignments.map(\.key.round) == [1, 2, 1])
    #expect(assignments[0].trained == ["stem", "blocks.0", "norm", "projector"])
    #expect(assignments[2].trained == ["blocks.1", "norm", "projector"])
    let store = try Store(path)
    let rounds = try store.committedRounds()
    #expect(rounds.map(\.stage.number) == [1, 1, 2] && rounds.map(\.round.number) == [1, 2, 1])
    #expect(rounds.allSatisfy { $0.round.samples == 45 && $0.round.loss == 1 && $0.round.seconds ?? -1 >= 0 })
    #expect(try store.openJob(plan, at: Date()).finishedAt != nil)
    #expect(try store.clients().map(\.samples) == [10, 30, 5])
  }

  /// The bits do not depend on the order of arrival.
  @Test func theOrderOfArrivalDoesNotMatter() async throws {
    var digests: [Digest] = []
    for order in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]] {
      let gate = ArrivalGate(order)
      // Each admission admits the next client.
      let opening: @Sendable (ServerEvent) -> Void = { if case .admitted = $0 { gate.open() } }
      let digest = try await withServer(Plan.tiny(), observer: opening) { server, _ in
        _ = try await takePart(at: server.endpoint) { name, _ in try await gate.wait(for: name) }
        let arrived = server.events.all.compactMap { event -> String? in
          if case .admitted(_, let client, _) = event { client } else { nil }
        }
        #expect(arrived == order + order)
        return try await server.result().base
      }
      digests.append(digest)
    }
    #expect(Set(digests).count == 1)
  }

  @Test func anUpdateIsInTheDatabaseBeforeItsAcknowledgement() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, path in
      let (one, two) = (
        try await ScriptedClient.welcome("a", at: server.endpoint),
        try await ScriptedClient.welcome("b", at: server.endpoint)
      )
      let assignment = try await one.requireAssignment()
      let update = one.update(assignment)
      #expect(try await one.submit(one.offer(assignment, update, samples: 12), update) == nil)
      let row = try await DatabaseQueue(path: path).read { try UpdateRecord.fetchAll($0) }
      #expect(row.map(\.client) == ["a"] && row.map(\.samples) == [12] && row.map(\.rejection) == [nil])
      let file = URL(fileURLWithPath: path + "-spool/admitted/\(row[0].roundId).a")
      #expect(try Data(contentsOf: file) == update)
      // The acknowledgement was lost: the same offer is acknowledged again, and not stored twice.
      #expect(try await one.submit(one.offer(assignment, update, samples: 12), update) == nil)
      #expect(try await DatabaseQueue(path: path).read { try UpdateRecord.fetchCount($0) } == 1)
      await one.connection.close()
      await two.connection.close()
    }
  }

  @Test func aClientThatLeavesDoesNotStopTheRound() async throws {
    try await withServer(Plan.tiny(cohort: 3, quorum: 2)) { server, _ in
      var clients: [ScriptedClient] = []
      for name in Self.names { clients.append(try await ScriptedClient.welcome(name, at: server.endpoint)) }
      var assignments: [Assignment] = []
      for client in clients { assignments.append(try await client.requireAssignment()) }
      // One client disconnects after half of its update.
      let update = clients[2].update(assignments[2])
      try await clients[2].connection.send(.offer(clients[2].offer(assignments[2], update)))
      guard case .request = try await clients[2].hear() else { throw Unexpected("no request") }
      try await clients[2].connection.send(
        .update(UpdateData(digest: Digest(of: update), offset: 0), update.prefix(update.count / 2)))
      await clients[2].connection.close()
      try await server.events.first { if case .left("c", _) = $0 { () } else { nil } }
      for (client, assignment) in zip(clients, assignments).prefix(2) {
        let update = client.update(assignment)
        #expect(try await client.submit(client.offer(assignment, update), update) == nil)
      }
      let summary = try await server.events.first { event -> RoundSummary? in
        if case .committed(let summary) = event { summary } else { nil }
      }
      #expect(summary.stage == 1 && summary.clients == 2 && summary.samples == 20)
    }
  }

  @Test func aMemberThatComesBackGetsItsAssignmentAgain() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, _ in
      let one = try await ScriptedClient.welcome("a", at: server.endpoint)
      let other = try await ScriptedClient.welcome("b", at: server.endpoint)
      let first = try await one.requireAssignment()
      await one.connection.close()
      try await server.events.first { if case .left("a", _) = $0 { () } else { nil } }
      let back = try await ScriptedClient.welcome("a", at: server.endpoint)
      let second = try await back.requireAssignment()
      #expect(second.key == first.key && second.seed == first.seed && second.parts == first.parts)
      #expect(second.schedule == first.schedule)
      await back.connection.close()
      await other.connection.close()
    }
  }

  @Test func aRestartGoesOnAfterTheLastCommittedRound() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let plan = Plan.tiny(cohort: 1, rounds: .each(2))
      // The first server commits a round and is stopped in the second.
      let committed = try await withServer(plan, path) { server in
        let client = try await ScriptedClient.welcome("a", at: server.endpoint)
        let first = try await client.requireAssignment()
        let update = client.update(first)
        #expect(try await client.submit(client.offer(first, update), update) == nil)
        let second = try await client.requireAssignment()
        await server.stop()
        #expect(try await client.hear() == .goodbye(Goodbye(.stopping, "the server stops")))
        await client.connection.close()
        await #expect(throws: CancellationError.self) { try await server.result() }
        return second
      }
      let final = try await withServer(plan, path) { server in
        let resumed = try await server.events.first { event -> RoundKey? in
          if case .resumed(let key) = event { key } else { nil }
        }
        #expect(resumed == RoundKey(stage: 1, round: 1))
        let client = try await ScriptedClient.welcome("a", at: server.endpoint)
        let again = try await client.requireAssignment()
        // The round continues with the same attempt, and no client has to train again.
        #expect(again.key == RoundKey(stage: 1, round: 2))
        #expect(again.parts == committed.parts && again.seed == committed.seed)
        let update = client.update(again)
        #expect(try await client.submit(client.offer(again, update), update) == nil)
        let turns = try await client.takePart(samples: 10, adding: 1)
        #expect(turns.map(\.assignment.key) == [1, 2].map { RoundKey(stage: 2, round: $0) })
        return try await server.result().base
      }
      // A finished job ends at once, with the same model.
      let after = try await withServer(plan, path) { try await $0.result().base }
      #expect(after == final)
      #expect(try Store(path).committedRounds().count == 4)
    }
  }

  @Test func aRoundThatNobodyAnswersIsTriedAgainAndThenGivenUp() async throws {
    let plan = Plan.tiny(cohort: 2, deadline: TimeSpan(milliseconds: 300), attempts: 2)
    try await withServer(plan) { server, path in
      let one = try await ScriptedClient.welcome("a", at: server.endpoint)
      let other = try await ScriptedClient.welcome("b", at: server.endpoint)
      let first = try await one.requireAssignment()
      #expect(try await one.hear() == .release(Release(key: first.key)))
      guard case .assignment(let second) = try await one.hear() else { throw Unexpected("no assignment") }
      #expect(second.key == first.key.nextAttempt)
      #expect(try await one.hear() == .release(Release(key: second.key)))
      guard case .goodbye(let goodbye) = try await one.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .failed)
      await one.connection.close()
      await other.connection.close()
      let error = await #expect(throws: ServerError.self) { try await server.result() }
      guard case .gaveUp(let key, let reason)? = error else {
        throw Unexpected("\(String(describing: error))")
      }
      #expect(key == second.key && reason.contains("0 of 2"))
      #expect(try Store(path).committedRounds().isEmpty)
    }
  }

  /// Time passes between drawing the cohort and setting the timer, and may exceed the deadline.
  @Test func aDeadlineThatPassesBeforeItsTimerIsSetIsNotForgotten() async throws {
    let plan = Plan.tiny(cohort: 1, deadline: TimeSpan(milliseconds: 1), attempts: 1)
    let slowly: @Sendable (ServerEvent) -> Void = {
      guard case .assigned = $0 else { return }
      let passed = ContinuousClock.now + .milliseconds(2)
      while ContinuousClock.now < passed {}
    }
    try await withServer(plan, observer: slowly) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      await #expect(throws: ServerError.self) { try await server.result() }
      await client.connection.close()
    }
  }
}

/// Admits clients one at a time, repeatedly in a given order.
private final class ArrivalGate: Sendable {
  private let order: [String]
  private let turns: [String: (AsyncStream<Void>, AsyncStream<Void>.Continuation)]
  private let opened = Mutex(0)

  init(_ order: [String]) {
    self.order = order
    turns = Dictionary(uniqueKeysWithValues: order.map { ($0, AsyncStream<Void>.makeStream()) })
    turns[order[0]]?.1.yield()
  }

  /// Waits for this client's turn.
  func wait(for name: String) async throws {
    var waiting = turns[name]!.0.makeAsyncIterator()
    guard await waiting.next() != nil else { throw CancellationError() }
  }

  /// Starts the next client's turn.
  func open() {
    let count = opened.withLock { count in
      count += 1
      return count
    }
    turns[order[count % order.count]]?.1.yield()
  }
}
