import Engine
import Federation

/// The plans that a plan is compared with: they differ from it in what their names say alone, and all run
/// the same number of rounds.
extension Plan {
  /// With another strategy. End-to-end training has a single stage of all blocks, without depth dropout.
  func with(_ strategy: Strategy) -> Plan {
    var plan = self
    plan.method.strategy = strategy
    if strategy == .endToEnd { plan.method.activeBlocks = 0 }
    return plan
  }

  /// With so many layers a stage, and at most `activeBlocks` blocks running (0: all). The rounds of the whole
  /// job are shared out evenly among the stages, earlier ones first.
  func with(layersPerStage layers: Int, activeBlocks: Int) -> Plan {
    var plan = self
    plan.method.activeBlocks = activeBlocks
    // With depth dropout there is another prefix each round, and nothing to keep of it.
    if activeBlocks > 0 { plan.local.views = 0 }
    guard layers != method.layersPerStage else { return plan }
    let rounds = with(.endToEnd).mostRounds
    let stages = encoder.depth / layers
    plan.method.layersPerStage = layers
    plan.method.roundsPerStage = .list((0..<stages).map { (rounds + stages - 1 - $0) / stages })
    return plan
  }

  /// With the server's calibration after every round.
  var calibratedEveryRound: Plan {
    var plan = self
    plan.method.calibration = Calibration(data: method.calibration?.data ?? "", every: .round)
    return plan
  }

  /// A stage as one client has it in one round. With depth dropout other clients and rounds have other
  /// blocks, but as many, and a transformer's blocks are alike.
  func exampleStage(_ index: Int) -> Stage {
    let key = RoundKey(stage: index, round: 1)
    return stage(index, keeping: keptBlocks(key, client: Experiment.clientName(0, of: 1)))
  }

  /// Whether the server calibrated just before a round: all layers have changed then.
  func isCalibrated(before key: RoundKey) -> Bool {
    if key.round > 1 { return isCalibrated(after: RoundKey(stage: key.stage, round: key.round - 1)) }
    let below = key.stage - 1
    return below > 0 && isCalibrated(after: RoundKey(stage: below, round: mostRounds(stage: below)))
  }

  /// The rounds of a stage.
  func roundKeys(stage: Int) -> [RoundKey] {
    (0..<mostRounds(stage: stage)).map { RoundKey(stage: stage, round: $0 + 1) }
  }
}
