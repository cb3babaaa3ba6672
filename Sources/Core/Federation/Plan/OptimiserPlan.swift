import Engine

extension PlanField {
  /// The optimiser of a client's training, and its warm-up.
  static let optimiser: [PlanField] = [
    PlanField(
      "local.warmup", \.local.warmup, .number(.from(0, to: Float(PlanLimits.rounds))), unit: "rounds",
      "Linear warm-up of the learning rate at the start of each stage; the schedule follows it."),
    PlanField(
      "local.optimizer", \.local.optimizer, .choice,
      "Rule of a step: AdamW, SGD with momentum, or LARS, in which each matrix has a rate of its own."),
    PlanField(
      "local.momentum", \.local.momentum, .number(.from(0, to: 0.9999)),
      "Share of the last step that sgd and lars keep."),
    PlanField(
      "local.trustCoefficient", \.local.trustCoefficient, .number(.above(0, to: 1)),
      "Length of a step of lars, as a share of the matrix's length times the learning rate."),
  ]
}

extension PlanRule {
  /// The constraints of the warm-up.
  static let optimiser: [PlanRule] = [
    PlanRule(
      "local.warmup", "method.roundsPerStage", "method.layersPerStage", "encoder.depth", "method.strategy",
      "method.laps"
    ) { plan in
      guard plan.local.warmup > 0 else { return nil }
      let rounds = (1...plan.stages).map { plan.mostRounds(stage: $0) }.min() ?? 0
      return plan.local.warmup < Float(rounds)
        ? nil
        : "is \(plan.local.warmup.yaml); must be less than the rounds of each stage, of which there are as few as \(rounds)"
    }
  ]
}
