import Engine
import Support

/// What a plan means for training.
extension Plan {
  /// Stage `index`, counted from 1: which layers exist and which train.
  ///
  /// With depth dropout `keeping` says which of its blocks are there.
  package func stage(_ index: Int, keeping kept: [Int]? = nil) -> Stage {
    let blocks = kept ?? Array(0..<stageDepth(index))
    let isLayerWise = method.strategy == .layerWise
    return Stage(
      index: index,
      Stage.Content(
        blocks: blocks, training: isLayerWise ? Array(trainedBlocks(stage: index)) : blocks,
        stem: !isLayerWise || (index - 1) % steps == 0, lap: (index - 1) / steps + 1), encoder,
      objective: .selfSupervised(method.ssl, heads))
  }

  /// The blocks that a stage of the layer-wise plan trains. The first lap adds them; a further one goes through them
  /// again, from the first on, while the others stay as they are.
  private func trainedBlocks(stage: Int) -> Range<Int> {
    let first = (stage - 1) % steps * method.layersPerStage
    return first..<first + method.layersPerStage
  }

  /// Which blocks of a stage run at a client in a round (depth dropout, LW-FedSSL, arXiv 2401.11647): all, or
  /// those that the stage trains and, drawn anew for each client and round, so many of the others that at
  /// most `activeBlocks` run.
  package func keptBlocks(_ key: RoundKey, client: String) -> [Int] {
    let depth = stageDepth(key.stage)
    guard method.activeBlocks > 0, depth > method.activeBlocks else { return Array(0..<depth) }
    // Of a progressive plan, which trains all, those that it has added.
    let trained =
      method.strategy == .layerWise ? trainedBlocks(stage: key.stage) : depth - method.layersPerStage..<depth
    var random = RandomNumbers(
      RandomNumbers.derive(seed, "depth dropout \(client)", [key.stage, key.round]), "blocks")
    let others = (0..<depth).filter { !trained.contains($0) }.shuffled(using: &random)
    return (others.prefix(method.activeBlocks - trained.count) + Array(trained)).sorted()
  }

  /// Blocks of a stage's model.
  package func stageDepth(_ stage: Int) -> Int {
    method.strategy == .endToEnd ? encoder.depth : min(stage, steps) * method.layersPerStage
  }

  /// A client's training in a round on `images` images. A client with fewer images than a batch trains on one batch of
  /// all its images, at a rate that is scaled down with it.
  package func trainingOptions(_ place: SchedulePlace, images: Int) -> TrainingOptions {
    let batch = min(local.batch, images)
    return TrainingOptions(
      momentum: method.momentum, temperature: method.temperature,
      alignment: method.alignment, proximal: local.proximal, batch: batch,
      epochs: local.epochs, weightDecay: local.weightDecay,
      schedule: LearningRateSchedule(
        local.schedule, rate: local.learningRate * Float(batch) / 256, from: place.from,
        to: place.to))
  }

  /// The same, cut so that the training fits into a client's memory: `limit`, or else the plan's, of which
  /// `resident` bytes are taken already. Throws ``MemoryPlan/TooSmall`` where it cannot be.
  package func trainingOptions(
    _ place: SchedulePlace, images: Int, of stage: Stage, workers: Int, limit: ByteCount? = nil, resident: Int
  ) throws(MemoryPlan.TooSmall) -> TrainingOptions {
    let options = trainingOptions(place, images: images)
    guard let limit = limit ?? local.memory else { return options }
    // Beside the trainer there are a layer on its way in, the update on its way out, and what that is coded against.
    let copies = traffic.codec == .plain ? 1 : 2
    let passing = copies * stage.count + (stage.model.parts.map(\.range.count).max() ?? 0)
    let allowed = limit.bytes - resident - passing * MemoryLayout<Float>.stride
    return try MemoryPlan.fit(stage, options, workers: workers, allowed: allowed)
  }

  /// Whether the server calibrates after a round: all layers change then.
  package func isCalibrated(after key: RoundKey) -> Bool {
    method.calibration?.isDue(round: key.round, of: mostRounds(stage: key.stage)) ?? false
  }

  /// The options of the server's calibration after a round: the same loss, without the terms that compare with the
  /// global model, which it is about to replace.
  package func calibrationOptions(_ key: RoundKey, _ calibration: Calibration, images: Int) -> TrainingOptions
  {
    var options = trainingOptions(curriculum.place(of: key), images: images)
    (options.alignment, options.proximal, options.epochs) = (0, 0, calibration.epochs)
    return options
  }

  /// The seed of a client's training in a round, below 2^53.
  package func trainingSeed(_ key: RoundKey, client: String) -> UInt64 {
    RandomNumbers.derive(seed, "training \(client)", [key.stage, key.round]) >> 11
  }
}
