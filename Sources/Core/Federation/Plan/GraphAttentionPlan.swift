import Engine
import Yams

extension PlanField {
  /// The terms of the objective infomax.
  static let infomax: [PlanField] = [
    weight("prediction", \.prediction, "the predictions between a node and its neighbourhood"),
    weight("variance", \.variance, "the distance of each feature's variance from 1"),
    weight("covariance", \.covariance, "the covariances of different features"),
    PlanField(
      "method.infomax.hops", \.method.infomaxFields.hops, .integer(1...PlanLimits.hops), unit: "hops",
      "Propagations to the mean of the neighbours that make a neighbourhood's features of those of its nodes.",
      in: .infomax),
  ]

  private static func weight(
    _ name: String, _ place: WritableKeyPath<GraphInfomaxConfiguration, Float> & Sendable, _ what: String
  ) -> PlanField {
    PlanField(
      "method.infomax.\(name)", .number(.from(0, to: PlanLimits.weight)), unit: "x loss",
      "Weight of \(what).",
      in: .infomax, get: { $0.method.infomaxFields[keyPath: place] },
      set: { $0.method.infomaxFields[keyPath: place] = $1 })
  }

  static let neighbours = PlanField(
    "local.neighbours", \.local.neighbours, of: .gat,
    .sampling(PlanLimits.distances, upTo: PlanLimits.neighbours), unit: "neighbours",
    "Neighbours that a step samples: of each node of a batch, of each node reached by that, …; all: the whole graph."
  )
}

extension PlanValue where Value == [Int]? {
  /// A list of up to `count` numbers, or the word for nil.
  fileprivate static func sampling(_ count: Int, upTo limit: Int) -> Self {
    let each = PlanValue<Int>.integer(1...limit)
    let type = "all, or a list of up to \(count) of: \(each.type)"
    let list = PlanValue<[Int]>.list(1...count, of: each, type)
    return PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        if case .scalar(let scalar) = node, scalar.string == "all" { return nil }
        return try list.read(node)
      },
      write: { $0.map(list.write) ?? "all" }, accepts: { $0.map(list.accepts) ?? true })
  }
}

extension Plan.Method {
  /// The fields of infomax; setting one of them creates the section.
  fileprivate var infomaxFields: GraphInfomaxConfiguration {
    get { infomax ?? GraphInfomaxConfiguration() }
    set { infomax = newValue }
  }
}

extension PlanField.OptionalSection {
  /// Without it, infomax has the defaults.
  fileprivate static let infomax = Self(
    isPresent: { $0.method.infomax != nil }, create: { $0.method.infomax = GraphInfomaxConfiguration() })
}

extension PlanRule {
  /// The constraints of plans whose encoder is a graph attention network.
  static let graphAttention: [PlanRule] = [
    PlanRule("method.objective", "encoder.family") { plan in
      let (isGAT, isInfomax) = (plan.encoder.family == .gat, plan.method.objective == .infomax)
      guard isGAT != isInfomax else { return nil }
      return isGAT
        ? "is \(plan.method.objective.rawValue); a gat is trained for infomax"
        : "is infomax, which is for the family gat; this plan has \(plan.encoder.family.rawValue)"
    },
    PlanRule("method.infomax.prediction", "method.objective") { plan in
      plan.method.infomax != nil && plan.method.objective != .infomax
        ? "is only for the objective infomax; this plan has \(plan.method.objective.rawValue)" : nil
    },
    PlanRule("encoder.width", "encoder.features", "encoder.depth") { plan in
      guard let c = plan.encoder.value as? GraphAttentionConfiguration else { return nil }
      // The heads of a stage are two layers of 8 D to and from D each.
      let parameters = 2 * c.width * (c.features + (c.depth - 1) * c.width + 16 * c.width)
      return parameters <= PlanLimits.parameters
        ? nil : "gives blocks and predictors of \(parameters) parameters; at most \(PlanLimits.parameters)"
    },
    PlanRule("method.initialisation", "encoder.family") { plan in
      plan.encoder.family == .gat && plan.method.initialisation == .transfer
        ? "is transfer; the first block of a gat has other inputs than the others, so a new one starts at random"
        : nil
    },
    PlanRule("method.activeBlocks", "encoder.family") { plan in
      plan.encoder.family == .gat && plan.method.activeBlocks > 0
        ? "is \(plan.method.activeBlocks); every block of a gat must run" : nil
    },
    PlanRule("local.neighbours", "encoder.family", "local.batch") { plan in
      guard plan.encoder.family == .gat, let fanouts = plan.local.neighbours else { return nil }
      let nodes = Neighbourhood.mostNodes(of: 0, batch: plan.local.batch, fanouts: fanouts).last ?? 0
      return nodes <= PlanLimits.sampledNodes
        ? nil
        : "samples up to \(nodes) nodes for a batch of \(plan.local.batch); at most \(PlanLimits.sampledNodes)"
    },
  ]

  /// The constraints of plans whose encoder takes the nodes of a graph.
  static let nodes: [PlanRule] = [
    ofNodes("method.kinetic.tau") { plan, family in
      plan.method.regularisers[KineticSettings.self] == nil
        ? nil : "is of a term on residual branches, which a \(family) does not have"
    },
    ofNodes("method.bottleneck.weight") { plan, family in
      plan.method.regularisers[BottleneckSettings.self] == nil
        ? nil : "is of a term that compares images; a \(family) takes nodes"
    },
    ofNodes("method.calibration.data") { plan, family in
      plan.method.calibration == nil ? nil : "is of a calibration with images; a \(family) takes nodes"
    },
    ofNodes("method.cascade.confidence") { plan, family in
      plan.method.cascade == nil
        ? nil : "is of a cascade, which selects images; a \(family) takes nodes, which other nodes need"
    },
    ofNodes("local.views") { plan, family in
      plan.local.views == 0
        ? nil : "is \(plan.local.views); must be 0 for a \(family), because nodes have no views"
    },
  ]

  private static func ofNodes(
    _ field: String, rejection: @escaping @Sendable (Plan, String) -> String?
  ) -> PlanRule {
    PlanRule(field, "encoder.family") { plan in
      guard case .nodes = plan.encoder.input else { return nil }
      return rejection(plan, plan.encoder.family.rawValue)
    }
  }
}
