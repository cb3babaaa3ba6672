import Engine

extension Plan {
  /// The exact steps of a regression by a deep linear network (arXiv 1910.05874).
  package struct Regression: Sendable, Hashable, Codable {
    /// What clients send for the exact rate of a step.
    package enum Statistics: String, Sendable, Codable, CaseIterable {
      /// The gradient and the second moments of the block's inputs, in one round.
      case moments
      /// The gradient and, in a second round, one number.
      case exchange
    }

    /// The order in which a lap updates the matrices. Default ascending.
    package var order: SweepOrder
    /// What clients send. Default moments, which takes half as many rounds.
    package var statistics: Statistics

    package init(order: SweepOrder = .ascending, statistics: Statistics = .moments) {
      (self.order, self.statistics) = (order, statistics)
    }
  }

  /// Whether the stages of the plan take exact steps of a regression.
  package var isRegression: Bool { method.objective == .regression }

  /// The settings of a regression.
  package var regression: Regression { method.regression ?? Regression() }

  /// The number of rounds for an update of a stage's parts: 2 if clients answer a second time.
  var roundsPerUpdate: Int { isRegression && regression.statistics == .exchange ? 2 : 1 }
}

extension Plan.Method {
  /// The regression's fields; setting one of them creates the section.
  fileprivate var regressionFields: Plan.Regression {
    get { regression ?? Plan.Regression() }
    set { regression = newValue }
  }
}

extension PlanField {
  static let regression: [PlanField] = [
    PlanField(
      "method.regression.order", \.method.regressionFields.order, .choice,
      "Order in which a lap updates the matrices: from the inputs, or from the outputs.", in: .regression),
    PlanField(
      "method.regression.statistics", \.method.regressionFields.statistics, .choice,
      "What clients send for the exact rate: also second moments, or in a second round one more number.",
      in: .regression),
  ]
}

extension PlanField.OptionalSection {
  /// Without it, a regression has the defaults.
  fileprivate static let regression = Self(
    isPresent: { $0.method.regression != nil }, create: { $0.method.regression = Plan.Regression() })
}

extension PlanRule {
  static let regression: [PlanRule] =
    [
      PlanRule("method.objective", "encoder.family") { plan in
        let isLinear = plan.encoder.family == .linear
        guard plan.isRegression != isLinear else { return nil }
        return isLinear
          ? "is \(plan.method.objective.rawValue); a linear network is trained for regression"
          : "is regression, which is for the family linear; this plan has \(plan.encoder.family.rawValue)"
      },
      PlanRule("method.regression.order", "method.objective") { plan in
        plan.method.regression != nil && !plan.isRegression
          ? "is only for the objective regression; this plan has \(plan.method.objective.rawValue)" : nil
      },
      PlanRule("encoder.width", "encoder.depth", "encoder.features", "encoder.outputs") { plan in
        guard let shape = (plan.encoder.value as? DeepLinearConfiguration)?.shape else { return nil }
        let parameters = (0..<shape.depth).reduce(0) {
          $0 + shape.matrix($1).rows * shape.matrix($1).columns
        }
        return 2 * parameters <= PlanLimits.parameters
          ? nil : "gives matrices of \(parameters) numbers altogether; at most \(PlanLimits.parameters / 2)"
      },
      PlanRule("encoder.features", "encoder.family") { plan in
        plan.encoder.family == .linear && plan.encoder.linear.features > PlanLimits.linearFeatures
          ? "is \(plan.encoder.linear.features); a linear network has at most \(PlanLimits.linearFeatures)"
          : nil
      },
    ]
    + [
      exactStep("method.strategy", "which updates one matrix after the other; must be layer-wise") {
        $0.method.strategy == .layerWise ? nil : $0.method.strategy.rawValue
      },
      exactStep("method.layersPerStage", "whose exact rate is that of one matrix; must be 1") {
        $0.method.layersPerStage == 1 ? nil : "\($0.method.layersPerStage)"
      },
      exactStep("method.stageEnd.when", "in which every round is an exact step; must be fixed") {
        $0.method.stageEnd.when == .fixed ? nil : $0.method.stageEnd.when.rawValue
      },
      exactStep("method.alignment", "which has no projections; must be 0") {
        $0.method.alignment == 0 ? nil : $0.method.alignment.yaml
      },
      exactStep("method.activeBlocks", "whose step needs all matrices; must be 0") {
        $0.method.activeBlocks == 0 ? nil : "\($0.method.activeBlocks)"
      },
      exactStep("method.calibration.data", "whose steps are of the clients' rows; must be absent") {
        $0.method.calibration?.data
      },
      exactStep("local.proximal", "in which clients take no steps; must be 0") {
        $0.local.proximal == 0 ? nil : $0.local.proximal.yaml
      },
      exactStep("local.views", "whose rows have no views; must be 0") {
        $0.local.views == 0 ? nil : "\($0.local.views)"
      },
      exactStep("traffic.codec", "whose updates are sums and not differences of weights; must be plain") {
        $0.traffic.codec == .plain ? nil : $0.traffic.codec.rawValue
      },
      exactStep(
        "traffic.layers", "whose weights are float64 as pairs; must be plain or float32, which is lossless"
      ) {
        [.plain, .float32].contains($0.traffic.layers) ? nil : $0.traffic.layers.rawValue
      },
      exactStep("round.aggregation", "whose updates are sums; must be mean, which adds them") {
        $0.round.aggregation == .mean ? nil : $0.round.aggregation.rawValue
      },
      exactStep("round.normLimit", "whose updates are sums and have no distance from the weights; must be 0")
      {
        $0.round.normLimit == 0 ? nil : $0.round.normLimit.yaml
      },
      exactStep("round.maxSamples", "whose sums are of all rows; must be auto") {
        $0.round.maxSamples.map { "\($0)" }
      },
      exactStep("round.stragglers", "whose sums belong to the weights of their round; must be reject") {
        $0.round.stragglers == .reject ? nil : $0.round.stragglers.rawValue
      },
    ]
    + RegulariserSections.all.compactMap { settings in
      settings.fields.first.map { field in
        exactStep(field.path, "whose loss has no other term; the section must be absent") { plan in
          plan.method.regularisers.has(settings.name) ? "of \(settings.name)" : nil
        }
      }
    }

  /// Rejects a value that has no meaning for the exact steps of a regression; `value` returns it, or nil.
  private static func exactStep(
    _ field: String, _ reason: String, _ value: @escaping @Sendable (Plan) -> String?
  ) -> PlanRule {
    PlanRule(field, "method.objective") { plan in
      guard plan.isRegression, let value = value(plan) else { return nil }
      return "is \(value) in a regression, \(reason)"
    }
  }
}
