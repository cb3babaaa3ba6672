import Engine
import Foundation
import Testing

struct TrainingThreadTests {
  private struct Failure: Error {}

  @Test func runsOnAThreadOfItsOwn() async throws {
    let name = try await TrainingThread.run("a training") { Thread.current.name }
    #expect(name == "a training")
  }

  @Test func passesFailuresOn() async {
    await #expect(throws: Failure.self) {
      try await TrainingThread.run("a failure") { throw Failure() }
    }
  }
}
