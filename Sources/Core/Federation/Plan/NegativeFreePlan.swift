import Engine

extension PlanField {
  /// The terms of the objectives without negative pairs.
  static let negativeFree: [PlanField] = [
    vicreg("similarity", \.similarity, "the mean squared distance of both views' projections"),
    vicreg("variance", \.variance, "the elements of projections whose deviation is below 1"),
    vicreg("covariance", \.covariance, "the covariances of different elements of projections"),
    PlanField(
      "method.barlow.offDiagonal", \.method.barlowFields.offDiagonal,
      .number(.from(0, to: PlanLimits.weight)),
      unit: "x loss", "Weight of the squared correlations between different elements of projections.",
      in: .barlow),
  ]

  private static func vicreg(
    _ name: String, _ place: WritableKeyPath<VICRegConfiguration, Float> & Sendable, _ what: String
  ) -> PlanField {
    PlanField(
      "method.vicreg.\(name)", .number(.from(0, to: PlanLimits.weight)), unit: "x loss", "Weight of \(what).",
      in: .vicreg, get: { $0.method.vicregFields[keyPath: place] },
      set: { $0.method.vicregFields[keyPath: place] = $1 })
  }
}

extension Plan.Method {
  /// The fields of VICReg; setting one of them creates the section.
  fileprivate var vicregFields: VICRegConfiguration {
    get { vicreg ?? VICRegConfiguration() }
    set { vicreg = newValue }
  }

  /// The fields of Barlow Twins; setting one of them creates the section.
  fileprivate var barlowFields: BarlowConfiguration {
    get { barlow ?? BarlowConfiguration() }
    set { barlow = newValue }
  }
}

extension PlanField.OptionalSection {
  /// Without it, vicreg has the defaults.
  fileprivate static let vicreg = Self(
    isPresent: { $0.method.vicreg != nil }, create: { $0.method.vicreg = VICRegConfiguration() })
  /// Without it, barlow has the defaults.
  fileprivate static let barlow = Self(
    isPresent: { $0.method.barlow != nil }, create: { $0.method.barlow = BarlowConfiguration() })
}

extension PlanRule {
  /// The constraints of the objectives without negative pairs.
  static let negativeFree: [PlanRule] = [
    section("method.vicreg.similarity", of: .vicreg) { $0.method.vicreg != nil },
    section("method.barlow.offDiagonal", of: .barlow) { $0.method.barlow != nil },
    PlanRule("method.vicreg.similarity", "method.vicreg.variance", "method.vicreg.covariance") { plan in
      guard let terms = plan.method.vicreg,
        [terms.similarity, terms.variance, terms.covariance] == [0, 0, 0]
      else { return nil }
      return "is 0, as are variance and covariance; at least one must be greater"
    },
  ]

  /// Rejects the section of an objective in a plan with another one.
  static func section(
    _ field: String, of objective: ObjectiveKind, isPresent: @escaping @Sendable (Plan) -> Bool
  ) -> PlanRule {
    PlanRule(field, "method.objective") { plan in
      isPresent(plan) && plan.method.objective != objective
        ? "is only for the objective \(objective.rawValue); this plan has \(plan.method.objective.rawValue)"
        : nil
    }
  }
}
