import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing
import Wire

/// Updates that are not admitted, at a real server.
@Suite(.unhurried) struct RejectionTests {
  /// Nine of ten clients are drawn; each has a different fault, and the quorum is met.
  @Test func eachFaultIsRejectedByItsNameAndTheRoundCommits() async throws {
    var plan = Plan.tiny(cohort: 9, quorum: 2)
    plan.round.minimumClients = 10
    try await withServer(plan) { server, path in
      var members: [(ScriptedClient, Assignment)] = []
      let outsider = try await recruit(server, &members)
      let (_, assignment) = members[0]
      let update = members[0].0.update(assignment)
      #expect(try await outsider.submit(outsider.offer(assignment, update), update) == .notAssigned)
      // Otherwise it would be asked in place of a rejected client.
      await outsider.connection.close()
      try await server.events.first { event in
        if case .left(outsider.name, _) = event { () } else { nil }
      }
      #expect(try await submitFaulty(members) == Self.faults)
      // A fault counts for the whole round.
      #expect(try await submit(members[3]) == .alreadyRejected)
      // An update of an earlier round does not count as a fault in this round.
      #expect(try await submit(members[0]) == nil)
      #expect(try await submit(members[1]) == nil)
      #expect(try await submit(members[1], value: 2) == .duplicate)
      #expect(try await submit(members[8]) == nil)
      let summary = try await server.events.first { event -> RoundSummary? in
        if case .committed(let summary) = event { summary } else { nil }
      }
      #expect(summary.clients == 3 && summary.loss == 1)
      try await check(path)
      for (client, _) in members { await client.connection.close() }
    }
  }

  private static let faults: [Rejection?] = [
    .wrongRound, .wrongRound, .wrongBase, .wrongSize, .wrongDigest, .notFinite, .notFinite, .overLimit,
  ]

  /// Makes ten clients join in the order of their names. Returns the one without an assignment.
  private func recruit(
    _ server: RunningServer, _ members: inout [(ScriptedClient, Assignment)]
  ) async throws -> ScriptedClient {
    var clients: [ScriptedClient] = []
    for name in "abcdefghij" {
      clients.append(try await ScriptedClient.welcome(String(name), at: server.endpoint))
    }
    var drawn: Set<String> = []
    while drawn.count < 9 {
      let known = drawn
      drawn.insert(
        try await server.events.first { event -> String? in
          guard case .assigned(_, let name) = event, !known.contains(name) else { return nil }
          return name
        })
    }
    for client in clients where drawn.contains(client.name) {
      members.append((client, try await client.requireAssignment()))
    }
    return try #require(clients.first { !drawn.contains($0.name) })
  }

  private func submit(_ member: (ScriptedClient, Assignment), value: Float = 0.5) async throws -> Rejection? {
    let update = member.0.update(member.1, value: value)
    return try await member.0.submit(member.0.offer(member.1, update), update)
  }

  /// Returns the verdicts on the faults, in the order of ``faults``.
  private func submitFaulty(_ members: [(ScriptedClient, Assignment)]) async throws -> [Rejection?] {
    var verdicts: [Rejection?] = []
    for (index, (client, assignment)) in members.prefix(8).enumerated() {
      var update = client.update(assignment)
      if index == 3 { update.removeLast(4) }
      if index == 5 { update = client.update(assignment, value: .nan) }
      var offer = client.offer(assignment, update)
      switch index {
      case 0: offer.key = RoundKey(stage: 1, round: 1, attempt: 2)
      case 1: offer.key = RoundKey(stage: 2, round: 1)
      case 2: offer.base = Digest(of: Data("another".utf8))
      case 4: update[0] ^= 1
      case 6: offer.loss = .infinity
      case 7: offer.samples = 0
      default: break
      }
      // The bytes are sent under the offered digest.
      verdicts.append(try await client.submit(offer, update))
    }
    return verdicts
  }

  private func check(_ path: String) async throws {
    let rows = try await DatabaseQueue(path: path).read { try UpdateRecord.fetchAll($0) }
    let rejections = Dictionary(grouping: rows, by: { $0.rejection ?? "admitted" }).mapValues(\.count)
    #expect(
      rejections == [
        "admitted": 3, "notAssigned": 1, "wrongRound": 2, "wrongBase": 1, "wrongSize": 1, "wrongDigest": 1,
        "notFinite": 2, "overLimit": 1, "alreadyRejected": 1, "duplicate": 1,
      ])
  }

  @Test func aRoundOutOfReachIsTriedAgain() async throws {
    try await withServer(Plan.tiny(cohort: 2, quorum: 2)) { server, _ in
      let one = try await ScriptedClient.welcome("a", at: server.endpoint)
      let other = try await ScriptedClient.welcome("b", at: server.endpoint)
      let assignment = try await one.requireAssignment()
      let update = one.update(assignment, value: .infinity)
      #expect(try await one.submit(one.offer(assignment, update), update) == .notFinite)
      let again = try #require(try await one.assignment())
      #expect(again.key == assignment.key.nextAttempt && again.parts == assignment.parts)
      await one.connection.close()
      await other.connection.close()
    }
  }
}
