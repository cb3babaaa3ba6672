import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

/// The validations that clients report.
@Suite(.unhurried) struct ValidationTests {
  private func plan(cohort: Int, rounds: Int = 2) -> Plan {
    var plan = Plan.tiny(cohort: cohort, rounds: .each(rounds))
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(10))
    return plan
  }

  private func validation(
    _ stage: Int, _ round: Int, images: Int = 40, majority: Int = 10, correct: [Int]
  ) -> Validation {
    Validation(
      key: RoundKey(stage: stage, round: round), images: images, majority: majority, correct: correct)
  }

  private func metrics(_ folder: URL, _ stage: Int, _ round: Int) throws -> RoundMetrics {
    try #require(
      try Store(folder.appendingPathComponent("strata.sqlite").path).committedRounds()
        .first { $0.stage.number == stage && $0.round.number == round }
    ).round.metrics
  }

  /// The model of a round is the one committed before, whose metrics they are: by client, and weighted by images.
  @Test func theyBelongToTheCommittedModel() async throws {
    try await withTemporaryFolder { folder in
      var driver = try JobEngineDriver(plan(cohort: 2), folder, ["a", "b"])
      #expect(driver.engine.take(validation(1, 1, correct: [30]), from: "a").isEmpty, "no model is committed")
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.01) == nil) }
      // A wrong round, a wrong number of exits, a client that was not asked: nothing is stored.
      #expect(driver.engine.take(validation(1, 1, correct: [30]), from: "a").isEmpty)
      #expect(driver.engine.take(validation(1, 2, correct: [30]), from: "c").isEmpty)
      #expect(driver.engine.take(validation(1, 2, correct: [30, 1]), from: "b").isEmpty)
      #expect(!driver.engine.take(validation(1, 2, correct: [30]), from: "a").isEmpty)
      #expect(
        driver.engine.take(validation(1, 2, correct: [40]), from: "a").isEmpty, "one for each assignment")
      var metrics = try metrics(folder, 1, 1)
      #expect(metrics[.validationAccuracy, client: "a"] == 0.75 && metrics[.validationAccuracy] == 0.75)
      #expect(metrics[.validationImages, client: "a"] == 40)
      #expect(metrics[.validationBaseline, client: "a"] == 0.25)
      #expect(metrics[.validationAccuracy, client: "a", layer: "exits.1"] == 0.75)
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.01) == nil) }
      // The second stage begins with the model of the first: its new exit is not of the committed model.
      #expect(!driver.engine.take(validation(2, 1, correct: [20, 1]), from: "a").isEmpty)
      #expect(
        !driver.engine.take(validation(2, 1, images: 10, majority: 10, correct: [10, 0]), from: "b").isEmpty)
      metrics = try self.metrics(folder, 1, 2)
      #expect(metrics.clientLayers["a"] == ["exits.1": ["validationAccuracy": 0.5]])
      #expect(metrics[.validationAccuracy] == (20.0 / 40 * 40 + 10) / 50 && metrics[.validationImages] == 50)
      #expect(metrics[.validationBaseline] == (10.0 + 10) / 50)
    }
  }

  /// A server that starts again takes the validation of the round that it continues.
  @Test func aRestartKeepsThem() async throws {
    try await withTemporaryFolder { folder in
      let plan = plan(cohort: 1)
      do {
        var driver = try JobEngineDriver(plan, folder, ["a"])
        #expect(try driver.submit("a", distance: 0.01) == nil)
        driver.store.close()
      }
      let driver = try JobEngineDriver(plan, folder, ["a"])
      #expect(!driver.engine.take(validation(1, 2, correct: [4]), from: "a").isEmpty)
      #expect(try metrics(folder, 1, 1)[.validationAccuracy, client: "a"] == 0.1)
    }
  }

  /// Numbers that cannot be end the connection and leave nothing; the job goes on.
  @Test func impossibleNumbersAreRejected() async throws {
    let plan = plan(cohort: 1, rounds: 1)
    try await withServer(plan) { server, database in
      // Is asked to train, so that the others change nothing about the round.
      let honest = try await ScriptedClient.welcome("honest", at: server.endpoint)
      for (index, (correct, images, field)) in [
        ([41], 40, "validation.correct is 41"), ([-1], 40, "validation.correct is -1"),
        ([0], 0, "validation.images is 0"), ([0], Int.max, "validation.images is not a whole number"),
        ([0], 5, "validation.majority is 10"),
      ].enumerated() {
        let client = try await ScriptedClient.welcome("liar-\(index)", at: server.endpoint)
        try await client.connection.send(
          .heartbeat(Heartbeat(validation: validation(1, 1, images: images, correct: correct))))
        var goodbye: Goodbye?
        while goodbye == nil {
          if case .goodbye(let last) = try await client.hear() { goodbye = last }
        }
        #expect(goodbye?.reason == .protocolError)
        #expect(goodbye?.detail.contains("heartbeat.\(field)") == true, "\(goodbye?.detail ?? "")")
        await client.connection.close()
      }
      _ = try await honest.takePart(samples: 1, adding: 0.01)
      _ = try await server.result()
      let rounds = try Store(database).committedRounds().map(\.round.metrics)
      #expect(
        !rounds.isEmpty
          && rounds.allSatisfy {
            $0[.validationImages] == nil
              && $0.clients.values.allSatisfy { $0[Metric.validationImages.name] == nil }
          })
    }
  }
}
