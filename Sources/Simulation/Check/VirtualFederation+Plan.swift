import Engine
import Federation

/// The plans of simulated federations.
extension VirtualFederation {
  /// Returns a plan with a tiny model and random rules.
  static func plan(_ random: inout RandomNumbers, seed: UInt64) -> Plan {
    var plan = Plan(
      name: "check", seed: seed,
      encoder: EncoderConfiguration(
        image: 4, channels: 1, patch: 4, width: 2, depth: 2, heads: 1, mlpRatio: 1),
      heads: HeadConfiguration(hidden: 2, output: 2))
    plan.method.strategy = random.chance(0.3) ? .progressive : .layerWise
    plan.method.roundsPerStage = .each(1 + random.below(4))
    if random.chance(0.2) { plan.method.calibration = Plan.Calibration(data: "shapes:2") }
    let cohort = 1 + random.below(5)
    plan.round = Plan.RoundRules(
      cohort: cohort, quorum: 1 + random.below(cohort), minimumClients: cohort + random.below(4),
      attempts: 1 + random.below(4), deadline: TimeSpan(milliseconds: 20_000 + random.below(60_000)))
    plan.round.overSelection = random.chance(0.3) ? 1 + random.below(2) : 0
    if random.chance(0.3) {
      plan.round.timeout = TimeSpan(
        milliseconds: plan.round.deadline.milliseconds + random.below(200_000))
    }
    // Drawn from a separate generator, so that the other events of a seed do not depend on it.
    var numbers = RandomNumbers(seed, "late")
    if numbers.chance(0.4) { plan.round.stragglers = .fold }
    var waits = RandomNumbers(seed, "waits and claims")
    plan.round.wait = TimeSpan(milliseconds: 1 + waits.below(plan.round.deadline.milliseconds))
    if waits.chance(0.3) { plan.round.maxSamples = 1 + waits.below(1000) }
    if plan.method.strategy == .layerWise && waits.chance(0.3) { plan.method.laps = 2 }
    // Laps are others with labels: layers wait.
    var labels = RandomNumbers(seed, "labels")
    if plan.method.strategy == .layerWise && labels.chance(0.4) {
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.classification = Plan.Classification(classes: .count(2))
    }
    var cascades = RandomNumbers(seed, "cascade")
    if plan.method.strategy == .layerWise, plan.method.laps == 1, plan.method.calibration == nil,
      cascades.chance(0.4)
    {
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.classification = Plan.Classification(classes: .count(2))
      plan.method.cascade = Plan.Cascade(commitment: cascades.chance(0.5))
      plan.local.batch = 2 + cascades.below(200)
    }
    var ends = RandomNumbers(seed, "stage ends")
    if ends.chance(0.4) {
      plan.method.stageEnd = Plan.StageEnd(.controller, model: "controller.json")
      plan.method.roundsPerStage = .each(1 + ends.below(8))
    }
    // Only this codec is exact, so that the committed weights can be checked.
    if numbers.chance(0.3) { plan.traffic.codec = .float32 }
    var regressions = RandomNumbers(seed, "regression")
    return regressions.chance(0.15) ? regression(like: plan, &regressions) : plan
  }

  /// Returns a plan of exact steps with the round rules of another, except for those that it cannot have.
  private static func regression(like other: Plan, _ random: inout RandomNumbers) -> Plan {
    var network = DeepLinearConfiguration(features: 2, width: 1 + random.below(4), depth: 1 + random.below(3))
    network.outputs = 1 + random.below(2)
    var plan = Plan(
      name: other.name, seed: other.seed, encoder: EncoderConfiguration(network), round: other.round)
    (plan.round.stragglers, plan.round.maxSamples) = (.reject, nil)
    plan.method = Plan.Method(
      laps: 1 + random.below(2), roundsPerStage: .each(1 + random.below(2)), initialisation: .random,
      objective: .regression, alignment: 0)
    plan.method.regression = Plan.Regression(
      order: random.chance(0.5) ? .ascending : .descending,
      statistics: random.chance(0.5) ? .moments : .exchange)
    return plan
  }

  /// Returns a random controller for a plan; nil if the plan has none.
  static func controller(_ plan: Plan, seed: UInt64) -> ControllerFile? {
    guard plan.method.stageEnd.when == .controller else { return nil }
    var random = RandomNumbers(seed, "controller")
    let shape = StageController.Shape(stages: plan.stages, decisions: 1 + random.below(8))
    let maximum = 1 + random.below(8)
    return ControllerFile(
      StageController(shape, seed: seed),
      ControllerFile.Rule(
        threshold: Double(random.uniform(0.3, 0.7)), every: 1 + random.below(3),
        minimum: 1 + random.below(maximum), maximum: maximum))
  }
}
