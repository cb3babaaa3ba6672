import Engine

/// Rules on the encoder and the method.
extension LintRule {
  static let ofEncoder: [LintRule] = [
    LintRule("few tokens") { plan in
      guard let tokens = plan.patches, tokens < 4 else { return nil }
      return Advice(
        "encoder.patch",
        "an image of \(plan.encoder.imageSide) pixels becomes \(tokens) patch\(tokens == 1 ? "" : "es"), between which attention has little to find",
        "an eighth of encoder.image is usual")
    },
    LintRule("many tokens") { plan in
      guard let tokens = plan.patches, tokens > 1024 else { return nil }
      return Advice(
        "encoder.patch",
        "an image becomes \(tokens) patches; memory and time of attention grow with the square of that",
        "a patch of \(plan.encoder.imageSide / 16) or so gives 256")
    },
    LintRule("narrow projection") { plan in
      guard plan.comparesViews, plan.heads.output < 8 else { return nil }
      return Advice(
        "heads.output", "images of different content can hardly be apart in so few dimensions", "128 or 256")
    },
  ]

  static let ofMethod: [LintRule] = [
    LintRule("temperature") { plan in
      guard plan.isContrastive, !(0.01...2).contains(plan.method.temperature) else { return nil }
      return Advice(
        "method.temperature",
        plan.method.temperature < 0.01
          ? "similarities are divided by it, so the loss is almost a maximum and its gradients explode or vanish"
          : "similarities are divided by it, so all pairs count almost alike and the loss hardly falls",
        "0.05 to 0.5")
    },
    LintRule("target momentum") { plan in
      guard [.mocov3, .byol].contains(plan.method.objective) else { return nil }
      if plan.method.momentum == 0 {
        return Advice(
          "method.momentum", "the target branch is the trained branch itself, and the training collapses",
          "0.99")
      }
      guard plan.method.momentum > 0.99999 else { return nil }
      return Advice("method.momentum", "the target branch stays as it began", "0.99 to 0.999")
    },
    LintRule("alignment") { plan in
      guard plan.method.alignment > 10 else { return nil }
      return Advice(
        "method.alignment", "the distance to the global model outweighs the loss, so clients hardly train",
        "0.01 to 1")
    },
    LintRule("one round") { plan in
      guard !plan.isRegression, plan.method.strategy != .endToEnd, plan.stages > 1 else { return nil }
      guard let stage = (1...plan.stages).first(where: { plan.mostRounds(stage: $0) < 2 }) else { return nil }
      return Advice(
        "method.roundsPerStage",
        "stage \(stage) has one round, so that its layer is averaged once and then frozen or built upon",
        "5 or more")
    },
    LintRule("single stage") { plan in
      guard plan.method.strategy == .layerWise, plan.steps == 1, plan.encoder.depth > 1 else { return nil }
      return Advice(
        "method.layersPerStage", "all layers are one stage, which is end-to-end training",
        "strategy: end-to-end says so")
    },
    LintRule("plateau window") { plan in
      guard plan.method.stageEnd.when == .plateau else { return nil }
      let most = (1...plan.stages).map { plan.mostRounds(stage: $0) }.max() ?? 0
      guard 2 * plan.method.stageEnd.window > most else { return nil }
      return Advice(
        "method.stageEnd.window",
        "a plateau compares two windows, and a stage has \(most) rounds, so no stage ends early",
        "at most \(max(most / 2, 1))")
    },
    LintRule("plateau minimum") { plan in
      let most = (1...plan.stages).map { plan.mostRounds(stage: $0) }.max() ?? 0
      guard plan.method.stageEnd.when == .plateau, plan.method.stageEnd.minimum >= most else { return nil }
      return Advice(
        "method.stageEnd.minimum", "a stage has \(most) rounds, so none ends before its last")
    },
    LintRule("calibration epochs") { plan in
      guard let calibration = plan.method.calibration, calibration.epochs > 10, calibration.every == .round
      else { return nil }
      return Advice(
        "method.calibration.epochs",
        "the server trains so long after every round that what the clients learned is overwritten", "1")
    },
    LintRule("cascade confidence") { plan in
      guard let cascade = plan.method.cascade, let classes = plan.method.classification?.classes.count,
        cascade.confidence <= 1 / Float(classes)
      else { return nil }
      return Advice(
        "method.cascade.confidence",
        "the likeliest of \(classes) classes always has this probability, so every image that an exit classifies right leaves"
      )
    },
    LintRule("label smoothing") { plan in
      guard let classification = plan.method.classification, classification.smoothing > 0.5 else {
        return nil
      }
      return Advice(
        "method.classification.smoothing", "more than half of a target is spread over the wrong classes",
        "0 to 0.2")
    },
  ]
}

extension Plan {
  /// The number of patches of an image; nil for other encoders than vision transformers.
  fileprivate var patches: Int? {
    guard encoder.family == .vit else { return nil }
    let side = encoder.imageSide / encoder.vit.patch
    return side * side
  }
}
