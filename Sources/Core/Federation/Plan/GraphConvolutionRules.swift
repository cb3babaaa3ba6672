import Engine

extension PlanRule {
  /// The constraints of plans whose encoder is a graph convolutional network.
  static let graphConvolution: [PlanRule] = [
    PlanRule("encoder.width", "encoder.features", "encoder.depth") { plan in
      guard let c = plan.encoder.value as? GraphConvolutionConfiguration else { return nil }
      let parameters = c.width * (c.features + (c.depth - 1) * c.width)
      return parameters <= PlanLimits.parameters
        ? nil : "gives layers of \(parameters) parameters altogether; at most \(PlanLimits.parameters)"
    },
    rule("method.objective") { plan in
      plan.method.objective == .classification
        ? nil
        : "is \(plan.method.objective.rawValue); a gcn is trained for the objective classification"
    },
    rule("method.initialisation") { plan in
      plan.method.initialisation == .transfer
        ? "is transfer; each layer of a gcn starts at random, and the first has other inputs than the others"
        : nil
    },
    rule("method.classification.hidden", "method.classification.classes") { plan in
      guard let hidden = plan.method.classification?.hidden, hidden > 0 else { return nil }
      return "is \(hidden); must be 0 for a gcn, whose classifier is a single layer"
    },
  ]

  /// Returns a constraint of such plans alone.
  private static func rule(
    _ field: String, _ others: String..., rejection: @escaping @Sendable (Plan) -> String?
  ) -> PlanRule {
    PlanRule(field, others: ["encoder.family"] + others) { $0.encoder.family == .gcn ? rejection($0) : nil }
  }
}
