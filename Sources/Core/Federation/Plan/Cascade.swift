import Engine

extension Plan {
  /// The cascade of a classification (QuickNets, arXiv 2212.12866): a stage trains only on the images that the exits of
  /// the stages before have not learned.
  package struct Cascade: Sendable, Hashable, Codable {
    /// The least confidence with which an image leaves at an exit. Default 0.9.
    package var confidence: Float
    /// Whether each exit also learns, in a commitment head, whether its classifier is right. Default false: the
    /// confidence tells right from wrong better.
    package var commitment: Bool
    /// The least commitment with which an image leaves at an exit. Default 0.5.
    package var gate: Float

    package init(confidence: Float = 0.9, commitment: Bool = false, gate: Float = 0.5) {
      (self.confidence, self.commitment, self.gate) = (confidence, commitment, gate)
    }

    /// Decides whether an image leaves at an exit.
    package var rule: ExitRule { ExitRule(confidence: confidence, gate: gate) }
  }

  /// Decides which images leave early: as in the cascade, or by its default confidence without one.
  package var exitRule: ExitRule { (method.cascade ?? Cascade()).rule }

  /// Whether clients select the images of a stage, and may have none left.
  package func isSelecting(stage: Int) -> Bool { method.cascade != nil && stage > 1 }
}

extension Plan.Method {
  /// The cascade's fields; setting one of them creates the cascade.
  fileprivate var cascadeFields: Plan.Cascade {
    get { cascade ?? Plan.Cascade() }
    set { cascade = newValue }
  }
}

extension PlanField {
  static let cascade: [PlanField] = [
    PlanField(
      "method.cascade.confidence", \.method.cascadeFields.confidence, .number(.from(0, to: 1)),
      unit: "probability", "Least confidence with which an image leaves at an exit.", in: .cascade),
    PlanField(
      "method.cascade.commitment", \.method.cascadeFields.commitment, .flag,
      "Whether a further head of each exit learns whether its classifier is right.", in: .cascade),
    PlanField(
      "method.cascade.gate", \.method.cascadeFields.gate, .number(.from(0, to: 1)), unit: "probability",
      "Least output of that head with which an image leaves.", in: .cascade),
  ]
}

extension PlanField.OptionalSection {
  /// Without it, all stages train on all images.
  fileprivate static let cascade = Self(
    isPresent: { $0.method.cascade != nil }, create: { $0.method.cascade = Plan.Cascade() })
}

extension PlanRule {
  static let cascade: [PlanRule] = [
    PlanRule("method.cascade.confidence", "method.objective") { plan in
      plan.method.cascade != nil && plan.method.objective != .classification
        ? "is of a cascade, which is only for the objective classification; this plan has \(plan.method.objective.rawValue)"
        : nil
    },
    PlanRule("method.cascade.confidence", "method.strategy") { plan in
      plan.method.cascade != nil && plan.method.strategy != .layerWise
        ? "is of a cascade, whose earlier exits must not change; \(plan.method.strategy.rawValue) trains below them or has none"
        : nil
    },
    PlanRule("method.cascade.confidence", "method.laps") { plan in
      plan.method.cascade != nil && plan.method.laps > 1
        ? "is of a cascade, whose earlier exits must not change; with \(plan.method.laps) laps they train again"
        : nil
    },
    PlanRule("method.cascade.confidence", "method.calibration.data") { plan in
      plan.method.cascade != nil && plan.method.calibration != nil
        ? "is of a cascade, whose earlier exits must not change; the calibration trains the layers below them"
        : nil
    },
  ]
}
