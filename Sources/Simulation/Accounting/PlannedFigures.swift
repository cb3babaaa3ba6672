import Engine
import Federation

/// What a plan costs one client with this software: what is sent, computed and taken, known before anything
/// runs.
package struct PlannedFigures: Sendable, Hashable, Codable {
  /// Bytes of weights over all rounds (``PlannedTraffic``).
  package let bytesDown: Int
  package let bytesUp: Int
  /// 10^9 floating-point operations for each of the client's images over all local epochs: both views, all
  /// branches, products alone, an addition and a multiplication each.
  package let gigaflopsPerImage: Double
  /// The trainer's memory at the stage where it is largest, with one thread and no limit.
  package let memoryBytes: Int
  /// That stage, counted from 1.
  package let memoryStage: Int

  /// For a client with so many images.
  package init(_ plan: Plan, images: Int) {
    let traffic = PlannedTraffic(plan)
    (bytesDown, bytesUp) = (traffic.bytesDown, traffic.bytesUp)
    var operations = 0.0
    var memory = (bytes: 0, stage: 1)
    for index in 1...plan.stages {
      let stage = plan.exampleStage(index)
      let options = plan.trainingOptions(RoundKey(stage: index, round: 1), images: images)
      operations += Self.operations(plan, stage, options, images: images)
      let bytes = MemoryPlan(stage, options, workers: 1).bytes
      if bytes > memory.bytes { memory = (bytes, index) }
    }
    gigaflopsPerImage = operations / Double(images) / 1e9
    (memoryBytes, memoryStage) = (memory.bytes, memory.stage)
  }

  /// Download and upload.
  package var bytes: Int { bytesDown + bytesUp }

  /// Operations of a client in all rounds of a stage. An epoch's incomplete last batch is dropped.
  private static func operations(
    _ plan: Plan, _ stage: Stage, _ options: TrainingOptions, images: Int
  ) -> Double {
    let cached = plan.local.views > 0 && !stage.trainsStem
    let image = OperationCount.step(
      stage, batch: 1, branches: options.branches, features: cached, fullLastBlock: options.fullLastBlock)
    let epochs = plan.rounds(stage: stage.index) * options.epochs
    let steps = Double(epochs * (images / options.batch) * options.batch) * Double(image)
    return cached ? steps + Double(images * plan.local.views) * filling(plan, stage) : steps
  }

  /// Operations on one view to keep a cache of the frozen layers' outputs up to date through a stage: a stage
  /// takes it through the layers that have frozen since, and after a calibration it is made anew.
  private static func filling(_ plan: Plan, _ stage: Stage) -> Double {
    let operations = stage.model.encoder.operations
    let frozen = operations.blocks[..<stage.trainedBlocks.lowerBound]
    let whole = Double(operations.stem + frozen.reduce(0, +))
    let added = Double(frozen.suffix(plan.method.layersPerStage).reduce(0, +))
    return plan.roundKeys(stage: stage.index).reduce(0.0) { sum, key in
      if plan.isCalibrated(before: key) { return sum + whole }
      guard key.round == 1 else { return sum }
      return sum + (stage.index == 2 ? whole : added)
    }
  }
}
