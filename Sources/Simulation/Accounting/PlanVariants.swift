import Engine
import Federation

/// The variants that a plan is compared with. Each differs from the plan only as its name indicates, and has the same
/// number of rounds.
extension Plan {
  /// Returns the plan with another strategy. End-to-end training has one stage of all blocks and no depth dropout; only
  /// layer-wise training has a cascade.
  func with(_ strategy: Strategy) -> Plan {
    var plan = self
    plan.method.strategy = strategy
    if strategy.hasSingleStage { plan.method.activeBlocks = 0 }
    if strategy != .layerWise { plan.method.cascade = nil }
    return plan
  }

  /// Returns the plan with `layers` layers per stage, of which at most `activeBlocks` blocks run (0: all). The rounds
  /// of the job are divided evenly among the stages, earlier ones first.
  func with(layersPerStage layers: Int, activeBlocks: Int) -> Plan {
    var plan = self
    plan.method.activeBlocks = activeBlocks
    // Depth dropout changes the prefix in each round, so that its outputs cannot be cached.
    if activeBlocks > 0 { plan.local.views = 0 }
    guard layers != method.layersPerStage else { return plan }
    let rounds = with(.endToEnd).mostRounds
    let stages = encoder.depth / layers
    plan.method.layersPerStage = layers
    plan.method.roundsPerStage = .list((0..<stages).map { (rounds + stages - 1 - $0) / stages })
    return plan
  }

  /// The plan with a calibration after every round, and without a cascade, whose earlier exits must not change.
  var calibratedEveryRound: Plan {
    var plan = self
    plan.method.cascade = nil
    plan.method.calibration = Calibration(data: method.calibration?.data ?? "", every: .round)
    return plan
  }

  /// Returns a stage as one client has it in one round. With depth dropout, other clients and rounds have other blocks
  /// but the same number, and the blocks of a transformer are equal in size.
  func exampleStage(_ index: Int) -> Stage {
    let key = RoundKey(stage: index, round: 1)
    return stage(index, keeping: keptBlocks(key, client: Experiment.clientName(0, of: 1)))
  }

  /// Returns whether the server calibrated just before a round, which changes all layers.
  func isCalibrated(before key: RoundKey) -> Bool {
    if key.round > 1 { return isCalibrated(after: RoundKey(stage: key.stage, round: key.round - 1)) }
    let below = key.stage - 1
    return below > 0 && isCalibrated(after: RoundKey(stage: below, round: mostRounds(stage: below)))
  }

  /// Returns the rounds of a stage.
  func roundKeys(stage: Int) -> [RoundKey] {
    (0..<mostRounds(stage: stage)).map { RoundKey(stage: stage, round: $0 + 1) }
  }
}
