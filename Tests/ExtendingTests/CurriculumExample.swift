import Federation

/// A curriculum that ends a stage after ``patience`` rounds without a new lowest loss. A stage has at most the rounds
/// of the fixed curriculum.
package struct PatienceCurriculum: Curriculum {
  package let fixed: FixedCurriculum
  /// At least 1.
  package let patience: Int
  package let isOpen = true

  package var stages: Int { fixed.stages }
  package func mostRounds(stage: Int) -> Int { fixed.mostRounds(stage: stage) }

  package func next(after key: RoundKey, history: [[RoundMetrics]]) -> Decision {
    guard key.round < mostRounds(stage: key.stage) else { return afterStage(key.stage) }
    // A round without a loss, such as one whose loss was not finite, does not count.
    let losses = (history.last ?? []).compactMap { $0[.loss] }
    guard let best = losses.indices.min(by: { losses[$0] < losses[$1] }) else { return .continueStage }
    return losses.count - 1 - best < patience ? .continueStage : afterStage(key.stage)
  }
}

extension CurriculumKind {
  /// Uses the plan's window of rounds.
  package static let patience = CurriculumKind("patience") { fixed, plan in
    PatienceCurriculum(fixed: fixed, patience: plan.method.stageEnd.window)
  }
}
