import Engine
import Support

/// Rules on the training of a client and on rounds.
extension LintRule {
  static let ofTraining: [LintRule] = [
    LintRule("large rate") { plan in
      guard !plan.isRegression, plan.local.optimizer == .adamw, plan.local.scaledRate > 0.05 else {
        return nil
      }
      return Advice(
        "local.learningRate",
        "AdamW changes each weight by about the rate in each step, and a step of \(plan.local.batch) has a rate of \(plan.local.scaledRate)",
        "1e-4 to 2e-3")
    },
    LintRule("small rate") { plan in
      guard !plan.isRegression, plan.local.scaledRate < 1e-8 else { return nil }
      return Advice(
        "local.learningRate",
        "a step has a rate of \(plan.local.scaledRate), too small to change weights of float32",
        "1e-4 to 2e-3")
    },
    LintRule("rate of gradient descent") { plan in
      guard plan.local.optimizer != .adamw, !plan.isRegression else { return nil }
      let (rate, most): (Float, Float) = (plan.local.scaledRate, plan.local.optimizer == .lars ? 20 : 5)
      guard rate < 1e-3 || rate > most else { return nil }
      return Advice(
        "local.learningRate",
        "a step of \(plan.local.optimizer.rawValue) has a rate of \(rate), which is in proportion to the gradient and not to the weight as AdamW's",
        plan.local.optimizer == .lars ? "0.2 to 1" : "0.01 to 0.5")
    },
    LintRule("momentum") { plan in
      guard plan.local.optimizer != .adamw, plan.local.momentum > 0.99 else { return nil }
      return Advice(
        "local.momentum",
        "a step adds to those of the last \(Int(1 / (1 - plan.local.momentum))), and a round of a client begins without any",
        "0.9")
    },
    LintRule("long warm-up") { plan in
      let rounds = (1...plan.stages).map { plan.mostRounds(stage: $0) }.min() ?? 0
      guard plan.local.warmup * 2 > Float(rounds) else { return nil }
      return Advice(
        "local.warmup", "the rate rises for more than half of a stage of \(counted(rounds, "round"))",
        "a tenth of the rounds")
    },
    LintRule("statistics of a batch") { plan in
      guard [.vicreg, .barlow].contains(plan.method.objective), plan.local.batch < 32 else { return nil }
      return Advice(
        "local.batch",
        "the loss estimates a covariance of \(plan.heads.output) numbers from \(plan.local.batch) samples",
        "64 or more")
    },
    LintRule("weight decay") { plan in
      let shrinking = plan.local.scaledRate * plan.local.weightDecay
      guard !plan.isRegression, shrinking >= 0.001 else { return nil }
      return Advice(
        "local.weightDecay",
        "each step shrinks every weight by \(shrinking * 100) %, faster than a training can restore it",
        "1e-5 to 0.1")
    },
    LintRule("batch of a contrastive loss") { plan in
      guard plan.isContrastive, plan.local.batch < 8 else { return nil }
      return Advice(
        "local.batch",
        "the loss compares an image with only \(plan.local.batch - 1) others of its batch", "64 or more")
    },
    LintRule("few negatives") { plan in
      guard plan.isContrastive, (8..<32).contains(plan.local.batch) else { return nil }
      return Advice(
        "local.batch",
        "an image has \(2 * (plan.local.batch - 1)) negative views, which it soon distinguishes",
        "64 or more")
    },
    LintRule("proximal") { plan in
      guard plan.local.proximal > 10 else { return nil }
      return Advice(
        "local.proximal", "the distance to the global weights outweighs the loss, so clients hardly train",
        "0.001 to 1")
    },
    LintRule("memory") { plan in
      guard let memory = plan.local.memory, memory.bytes < 48_000_000 else { return nil }
      return Advice(
        "local.memory", "fedclient takes some 40 MB before it trains", "128MB or more")
    },
  ]

  static let ofRounds: [LintRule] = [
    LintRule("quorum") { plan in
      guard plan.round.cohort >= 16, plan.round.quorum * 4 < plan.round.cohort else { return nil }
      return Advice(
        "round.quorum",
        "a round of \(plan.round.cohort) clients may be committed with \(counted(plan.round.quorum, "update"))",
        "\((3 * plan.round.cohort + 3) / 4)")
    },
    LintRule("robust aggregation") { plan in
      guard plan.round.aggregation != .mean, plan.round.quorum < 3 else { return nil }
      return Advice(
        "round.quorum",
        "the \(plan.round.aggregation.rawValue) of fewer than three updates is their mean, or one of them",
        "3 or more")
    },
    LintRule("over-selection") { plan in
      guard plan.round.overSelection > plan.round.cohort else { return nil }
      return Advice(
        "round.overSelection", "more than half of the trainings are discarded",
        "at most \(plan.round.cohort / 4 + 1)")
    },
    LintRule("norm limit") { plan in
      guard plan.round.normLimit > 0, plan.round.normLimit < 0.001 else { return nil }
      return Advice(
        "round.normLimit", "a training moves weights further than that, so honest updates are rejected",
        "0.1 to 1")
    },
    LintRule("short deadline") { plan in
      guard plan.round.deadline < .seconds(1) else { return nil }
      return Advice("round.deadline", "a device needs longer to receive a layer", "10m")
    },
    LintRule("kept values") { plan in
      guard plan.traffic.codec == .topK, plan.traffic.kept < 0.0005 else { return nil }
      return Advice(
        "traffic.kept",
        "a value is sent every \(Int((1 / plan.traffic.kept).rounded())) rounds on average", "0.01")
    },
  ]
}
