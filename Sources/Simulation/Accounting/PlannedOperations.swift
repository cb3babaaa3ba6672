import Engine
import Federation

/// Floating-point operations of one client that takes part in every round: both views, all branches, products
/// alone, an addition and a multiplication each.
package struct PlannedOperations: Sendable, Hashable {
  /// All rounds of the job, in order.
  package let rounds: [Double]

  /// For a client with so many images.
  package init(_ plan: Plan, images: Int) {
    rounds = (1...plan.stages).flatMap { index in
      let stage = plan.exampleStage(index)
      let step = Self.training(plan, stage, images: images)
      return plan.roundKeys(stage: index).map { step + Self.filling(plan, stage, $0, images: images) }
    }
  }

  /// Operations of a local training. An epoch's incomplete last batch is dropped.
  private static func training(_ plan: Plan, _ stage: Stage, images: Int) -> Double {
    guard images >= 2 else { return 0 }
    let options = plan.trainingOptions(RoundKey(stage: stage.index, round: 1), images: images)
    let step = OperationCount.step(
      stage, batch: options.batch, branches: options.branches(of: stage.model.objective).count,
      features: isCached(plan, stage))
    return Double(options.epochs * (images / options.batch)) * Double(step)
  }

  /// Whether a client reads what the frozen layers made of its views from a file.
  private static func isCached(_ plan: Plan, _ stage: Stage) -> Bool {
    plan.local.views > 0 && !stage.trainsStem
  }

  /// Operations to bring such a file up to date in a round: a stage takes it through the layers that have
  /// frozen since, and after a calibration it is made anew.
  private static func filling(_ plan: Plan, _ stage: Stage, _ key: RoundKey, images: Int) -> Double {
    guard isCached(plan, stage) else { return 0 }
    let operations = stage.model.encoder.operations
    let frozen = operations.blocks[..<stage.prefixDepth]
    let views = Double(images * plan.local.views)
    if plan.isCalibrated(before: key) || (key.round == 1 && key.stage == 2) {
      return views * Double(operations.stem + frozen.reduce(0, +))
    }
    return key.round == 1 ? views * Double(frozen.suffix(plan.method.layersPerStage).reduce(0, +)) : 0
  }
}
