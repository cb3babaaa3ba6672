import TestSupport
import Client
import Foundation
import Testing

@Suite struct ErrorFeedbackTests {
  private let left: [Float] = [0.5, -0.25, 0]

  @Test func whatWasLeftOutSurvivesARestart() async throws {
    try await withTemporaryFolder { folder in
      try ErrorFeedback(folder).propose(left, stage: 2)
      try ErrorFeedback(folder).settle(stage: 2, isAdmitted: true)
      #expect(ErrorFeedback(folder).load(stage: 2, count: 3) == left)
      // The values belong only to the layers of that stage.
      #expect(ErrorFeedback(folder).load(stage: 3, count: 3) == [0, 0, 0])
      #expect(ErrorFeedback(folder).load(stage: 2, count: 2) == [0, 0])
    }
  }

  /// A rejected update has no effect on the omitted values.
  @Test func aRejectedUpdateChangesNothing() async throws {
    try await withTemporaryFolder { folder in
      let feedback = ErrorFeedback(folder)
      try feedback.propose(left, stage: 1)
      try feedback.settle(stage: 1, isAdmitted: true)
      try feedback.propose([9, 9, 9], stage: 1)
      #expect(feedback.load(stage: 1, count: 3) == left, "not before the verdict")
      try feedback.settle(stage: 1, isAdmitted: false)
      try feedback.settle(stage: 1, isAdmitted: true)
      #expect(feedback.load(stage: 1, count: 3) == left)
    }
  }
}
