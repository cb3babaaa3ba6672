import Client
import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// Diverged trainings: the client reports them and continues.
@Suite(.unhurried) struct DivergenceTests {
  private func offer(_ session: ScriptedSession, _ snapshot: Snapshot, _ assignment: Assignment) async throws
    -> UpdateOffer
  {
    try await session.send(.assignment(assignment))
    guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
    return offer
  }

  /// The client receives a model with invalid numbers from another client, and then a valid one.
  @Test(arguments: [UpdateCodec.plain, .int8, .topK], [Float.nan, 3e38])
  func aModelThatIsNoneIsTrainedFromAndSaidToBe(codec: UpdateCodec, weight: Float) async throws {
    let plan = Plan.tiny(epochs: 3)
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let good = plan.snapshot()
      // All parts differ, since equal ones are fetched once.
      let parts = good.manifest.enumerated().map { index, part in
        let values = [Float(index)] + [Float](repeating: weight, count: part.bytes / 4 - 1)
        return values.withUnsafeBytes { Data($0) }
      }
      let bad = Snapshot(good.stage, parts: parts)
      var assignment = Assignment(bad)
      assignment.codec = codec == .plain ? nil : codec
      let rejected = try await offer(session, bad, assignment)
      #expect(
        !rejected.loss.isFinite && rejected.steps == 1 && rejected.codec == nil && rejected.monitors == nil)
      #expect(rejected.badNumber?.rejection == .notFinite)
      // The bytes are sent on request.
      #expect(Digest(of: try await session.collect(rejected)) == rejected.digest)
      try await session.send(.acknowledgement(Acknowledgement(key: rejected.key, rejection: .notFinite)))
      let diverged = server.events.all.compactMap { event -> [Int]? in
        if case .diverged(rejected.key, let step, let steps) = event { [step, steps] } else { nil }
      }
      #expect(diverged == [[1, 3]])
      assignment = Assignment(good, round: 2)
      assignment.codec = codec == .plain ? nil : codec
      let next = try await offer(session, good, assignment)
      #expect(next.key.round == 2 && next.badNumber == nil && next.codec == assignment.codec)
      try await server.finish(session)
    }
  }

  /// The settings of a plan can have the same effect.
  @Test func aPlanThatDivergesIsNoReasonToEnd() async throws {
    var plan = Plan.tiny(epochs: 2)
    plan.method.temperature = Float(1e-38) / 100
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      for round in 1...2 {
        let rejected = try await offer(session, snapshot, Assignment(snapshot, round: round))
        #expect(rejected.key.round == round && rejected.badNumber?.rejection == .notFinite)
        try await session.send(.acknowledgement(Acknowledgement(key: rejected.key, rejection: .notFinite)))
      }
      try await server.finish(session)
    }
  }
}
