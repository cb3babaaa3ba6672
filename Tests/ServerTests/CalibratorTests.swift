import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct CalibratorTests {
  private func run(_ calibration: Plan.Calibration?) async throws -> (Snapshot, [RoundRecord]) {
    var plan = Plan.tiny(cohort: 1, rounds: .each(2))
    plan.method.calibration = calibration
    return try await withServer(plan) { server, path in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      #expect(try await client.takePart(samples: 3, adding: 0.01).count == 4)
      let rounds = try Store(path).committedRounds().map(\.round)
      return (try await server.result(), rounds)
    }
  }

  /// Layer-wise clients train one layer; calibration trains the layers below it, too.
  @Test func calibrationTrainsWhatTheClientsDoNot() async throws {
    let (without, plain) = try await run(nil)
    let (with, calibrated) = try await run(Plan.Calibration(data: "shapes:16"))
    #expect(plain.allSatisfy { $0.calibrationLoss == nil })
    #expect(calibrated.allSatisfy { $0.calibrationLoss?.isFinite == true && $0.calibrationLoss != 0 })
    for (one, other) in zip(without.manifest, with.manifest) {
      #expect(one.digest != other.digest, "\(one.name)")
    }
    let (again, _) = try await run(Plan.Calibration(data: "shapes:16"))
    #expect(again.base == with.base, "it follows from the seed")
  }

  @Test func calibrationOncePerStageFollowsItsLastRound() async throws {
    let (_, rounds) = try await run(Plan.Calibration(data: "shapes:16", every: .stage))
    #expect(rounds.map { $0.calibrationLoss != nil } == [false, true, false, true])
  }

  @Test(arguments: ["cifar10:/nowhere", "shapes:none", "shapes:1", "shapes:16?skip=16", "pictures:3"])
  func imagesThatCannotBeUsedAreRejectedAtTheStart(data: String) async throws {
    var plan = Plan.tiny()
    plan.method.calibration = Plan.Calibration(data: data)
    let error = await #expect(throws: ServerError.self) { try await withServer(plan) { _, _ in } }
    guard case .calibrationData(let reason)? = error else {
      throw Unexpected("\(String(describing: error))")
    }
    #expect(!reason.isEmpty && !reason.contains("\n"))
  }
}
