import Engine

/// The kinetic regulariser (TRGL, arXiv 2210.00949).
package struct KineticSettings: RegulariserSettings {
  package static let name = "kinetic"
  package static let fields = [
    PlanField(
      "tau", \Self.tau, .number(.above(0, to: PlanLimits.tau)), or: .required,
      "Divides the mean square of each trained residual branch; a small value is a strong term."
    )
  ]

  /// τ, greater than 0.
  package var tau: Float = 1

  package init() {}
  package init(tau: Float) { self.tau = tau }

  package func regulariser(_ plan: Plan, stage: Int) -> Regulariser {
    .residualBranches(Kinetic(tau: tau(plan, stage: stage)))
  }

  /// Returns τ of a stage: the given value in the first half of the stages of a lap, rounded down, and twice the value in
  /// the others. End-to-end training has twice the value.
  package func tau(_ plan: Plan, stage: Int) -> Float {
    guard !plan.method.strategy.hasSingleStage else { return 2 * tau }
    return (stage - 1) % plan.steps < plan.steps / 2 ? tau : 2 * tau
  }
}
