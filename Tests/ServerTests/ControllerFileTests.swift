import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing

/// A plan's controller, from the file to the decisions of a server.
@Suite(.unhurried) struct ControllerFileTests {
  private static let name = "controller.json"

  private func plan(_ model: String = name) -> Plan {
    var plan = Plan.tiny(cohort: 1, rounds: .each(6))
    plan.method.stageEnd = Plan.StageEnd(.controller, model: model)
    return plan
  }

  /// Writes a random controller, whose decisions depend on the losses.
  private func write(
    to folder: URL, seed: UInt64 = 1, stages: Int = 2, maximum: Int = 5
  ) throws {
    let controller = StageController(StageController.Shape(stages: stages, decisions: 8), seed: seed)
    let file = ControllerFile(
      controller, ControllerFile.Rule(threshold: 0.5, every: 1, minimum: 1, maximum: maximum))
    try file.encoded().write(to: folder.appendingPathComponent(Self.name))
  }

  /// Runs a job to its end; before each round, `restarts` says whether another server takes over.
  private func rounds(
    _ folder: URL, losses: UInt64, restarts: (Int) -> Bool = { _ in false }
  ) throws -> [RoundKey] {
    var random = RandomNumbers(losses, "losses")
    var driver = try JobEngineDriver(plan(), folder, ["a"])
    var keys: [RoundKey] = []
    while !driver.engine.hasEnded {
      if restarts(keys.count) { driver = try JobEngineDriver(plan(), folder, ["a"]) }
      keys.append(driver.engine.round.key)
      #expect(try driver.submit("a", distance: 0.1, lastLoss: random.uniform(0, 40)) == nil)
    }
    return keys
  }

  private func rejection(_ plan: Plan, _ folder: URL) -> String {
    let error = #expect(throws: ServerError.self) { try JobEngineDriver(plan, folder, []) }
    guard case .controller(let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return ""
    }
    #expect(error?.description == "method.stageEnd.model: \(reason)" && !reason.contains("\n"))
    return reason
  }

  /// A server that is replaced at any moment decides as one that runs to the end.
  @Test func aRestartedServerDecidesTheSame() async throws {
    let seed = UInt64.random(in: 0..<1 << 40)
    var lengths: Set<Int> = []
    for number in 0..<12 as Range<UInt64> {
      var random = RandomNumbers(seed, "restarts", Int(number))
      var results: [[RoundKey]] = []
      for isInterrupted in [false, true] {
        try await withTemporaryFolder { folder in
          try write(to: folder, seed: seed &+ number)
          results.append(
            try rounds(folder, losses: seed &+ number) { _ in isInterrupted && random.chance(0.7) })
        }
      }
      #expect(results[0] == results[1], "seed \(seed), job \(number)")
      lengths.insert(results[0].count)
    }
    #expect(lengths.count > 1, "all jobs have \(lengths) rounds, seed \(seed)")
  }

  @Test func theMaximumOfTheFileIsThatOfTheRound() async throws {
    try await withTemporaryFolder { folder in
      try write(to: folder, maximum: 4)
      let driver = try JobEngineDriver(plan(), folder, ["a"])
      let status = driver.engine.status(since: Date(), at: .zero, Date())
      #expect(status.rounds == 4 && status.isOpen == true)
      #expect(driver.assignments["a"]?.schedule == SchedulePlace(from: 0, to: 0.25))
    }
  }

  @Test func aFileThatCannotBeUsedIsRejectedBeforeAnythingRuns() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent(Self.name).path
      #expect(rejection(plan(), folder) == "\(path): there is no such file, or it cannot be read")
      try Data("what?".utf8).write(to: URL(fileURLWithPath: path))
      #expect(rejection(plan(), folder) == "\(path): it is not a usable controller: it is not JSON")
      try write(to: folder, stages: 3)
      #expect(rejection(plan(), folder) == "\(path): it is for 3 stages, and the plan has 2")
      try write(to: folder)
      try await withTemporaryFolder { other in
        #expect(throws: Never.self, "an absolute path") { try JobEngineDriver(plan(path), other, []) }
      }
    }
  }

  /// A job keeps its file until it is finished.
  @Test func anotherFileIsRejected() async throws {
    try await withTemporaryFolder { folder in
      try write(to: folder)
      _ = try JobEngineDriver(plan(), folder, ["a"])
      try write(to: folder, seed: 2)
      let line = rejection(plan(), folder)
      #expect(line.contains(Self.name) && line.contains("not the file that the job began with"), "\(line)")
      try write(to: folder)
      _ = try rounds(folder, losses: 1)
      try FileManager.default.removeItem(at: folder.appendingPathComponent(Self.name))
      #expect(try JobEngineDriver(plan(), folder, []).engine.hasEnded)
    }
  }
}
