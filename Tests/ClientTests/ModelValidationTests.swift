import Client
import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// Clients that report the accuracy of models on their own images.
@Suite(.unhurried) struct ModelValidationTests {
  private var plan: Plan {
    var plan = Plan.tiny()
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(10))
    return plan
  }

  private func images(_ count: Int) -> ImageSet {
    Shapes.generate(count: count, size: 8, channels: 1, seed: 3, role: .test)
  }

  /// Sends a round to the client, takes its update, and returns its next message with a validation.
  private func validation(
    _ session: ScriptedSession, _ snapshot: Snapshot
  ) async throws -> Validation {
    try await session.send(.assignment(Assignment(snapshot)))
    guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
    try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
    while true {
      if case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true),
        let validation = heartbeat.validation
      {
        return validation
      }
    }
  }

  /// The numbers are those of an evaluation of the same model on the same images, at each exit.
  @Test(arguments: [1, 2]) func theNumbersAreThoseOfTheModel(stage: Int) async throws {
    let (plan, images) = (plan, images(70))
    try await withClient(plan, validation: images) { server in
      let (session, snapshot) = (try await server.welcome(), plan.snapshot(stage: stage))
      let validation = try await validation(session, snapshot)
      let result = try ExitEvaluation(plan, .images(images), threads: 1).result(
        of: snapshot, plan.augmentation)
      #expect(validation.key == RoundKey(stage: stage, round: 1))
      #expect(validation.images == 70)
      #expect(validation.correct == result.exits.map(\.report.correct))
      let majority = try #require(result.exits.last?.report.majorityBaseline)
      #expect(validation.majority == Int((majority * 70).rounded()))
      try await server.finish(session)
      #expect(server.events.all.contains { if case .validated(validation) = $0 { true } else { false } })
    }
  }

  /// The round after the first one is trained as usual, whether the validation was over or not.
  @Test func theNextRoundIsNotDelayed() async throws {
    let plan = plan
    try await withClient(plan, validation: images(20_000)) { server in
      let (session, snapshot) = (try await server.welcome(), plan.snapshot())
      for round in 1...2 {
        try await session.send(.assignment(Assignment(snapshot, round: round)))
        guard case .offer(let offer) = try await session.serve(snapshot).1 else {
          throw Unexpected("no offer")
        }
        #expect(offer.key.round == round)
        try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
      }
      try await server.finish(session)
    }
  }

  @Test func withoutImagesNothingIsReported() async throws {
    let plan = plan
    try await withClient(plan) { server in
      let (session, snapshot) = (try await server.welcome(heartbeatSeconds: 0.1), plan.snapshot())
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      for _ in 0..<3 {
        guard case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true) else {
          throw Unexpected("no heartbeat")
        }
        #expect(heartbeat.validation == nil)
      }
      try await server.finish(session)
    }
  }

  /// A job without labels, and one of other classes, end the client with one line.
  @Test func aJobThatDoesNotFitIsNamed() async throws {
    var named = plan
    named.method.classification?.classes = .names(["a", "b"])
    for (plan, words) in [
      (Plan.tiny(), "--validate: the job trains without labels (simclr)"), (named, "(a, b)"),
    ] {
      try await withClient(plan, of: training(plan), validation: images(20)) { server in
        let session = try await server.welcome()
        let error = await #expect(throws: ClientError.self) { try await server.running.value }
        guard case .data(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
        #expect(reason.hasPrefix("--validate: ") && reason.contains(words), "\(reason)")
        await session.connection.close()
      }
    }
  }

  /// Images that fit a plan's classes.
  private func training(_ plan: Plan) -> ImageSet {
    guard case .names(let names) = plan.method.classification?.classes else { return images(8) }
    return ImageSet(
      pixels: [UInt8](repeating: 7, count: 8 * 64), count: 8, channels: 1, size: 8,
      labels: (0..<8).map { $0 % names.count }, classes: names.count)
  }
}
