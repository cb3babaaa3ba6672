import Engine
import Support

/// The stages and training options of a plan.
extension Plan {
  /// Returns stage `index`, starting at 1, with its existing and trained layers.
  ///
  /// With depth dropout, `keeping` contains the indices of the blocks that exist.
  package func stage(_ index: Int, keeping kept: [Int]? = nil) -> Stage {
    let blocks = kept ?? Array(0..<stageDepth(index))
    let (trained, stem): ([Int], Bool) =
      switch method.strategy {
      case .layerWise: (Array(trainedBlocks(stage: index)), position(ofStage: index) == 1)
      case .progressive, .endToEnd: (blocks, true)
      case .headOnly: ([], false)
      }
    return Stage(
      index: index,
      Stage.Content(
        blocks: blocks, training: trained, stem: stem, lap: (index - 1) / steps + 1,
        exits: exits(stage: index)),
      stageEncoder, objective: method.objective.configuration(objectiveSettings(stage: index)))
  }

  /// The encoder's configuration in stages: a classifier of a ResNet reads a grid of its map.
  private var stageEncoder: EncoderConfiguration {
    method.classification.map { encoder.pooled(grid: $0.grid) } ?? encoder
  }

  private func objectiveSettings(stage index: Int) -> ObjectiveSettings {
    if isRegression, regression.statistics == .exchange {
      let (rows, columns) = encoder.linear.shape.matrix(trainedBlocks(stage: index).lowerBound)
      return ObjectiveSettings(
        heads: heads, regression: RegressionConfiguration(exchanged: .init(rows: rows, columns: columns)))
    }
    guard let classification = method.classification else {
      return ObjectiveSettings(
        heads: heads, infomax: method.infomax ?? GraphInfomaxConfiguration(),
        vicreg: method.vicreg ?? VICRegConfiguration(), barlow: method.barlow ?? BarlowConfiguration(),
        masked: masked)
    }
    return ObjectiveSettings(
      heads: heads,
      classifier: ClassifierConfiguration(
        classes: classification.classes.count, hidden: classification.hidden,
        smoothing: classification.smoothing, commitment: method.cascade?.commitment ?? false,
        convention: encoder.classifierConvention))
  }

  /// Returns the numbers of blocks after which the stages before have left exits.
  private func exits(stage: Int) -> [Int] {
    guard method.classification != nil, !method.strategy.hasSingleStage else { return [] }
    return (1...position(ofStage: stage)).dropLast().map { $0 * method.layersPerStage }
  }

  /// Returns the number of a stage in its lap, starting at 1.
  private func position(ofStage stage: Int) -> Int { (stage - 1) % steps + 1 }

  /// Returns the layers that exist but are not in a stage's model, in order of depth. Behind the blocks of a stage of a
  /// classification comes its exit, so in a later lap the layers above wait; with other objectives they run.
  package func waitingParts(stage index: Int) -> [Model.Part] {
    let stage = stage(index)
    guard stage.content.lap > 1, method.classification != nil else { return [] }
    let there = Set(stage.model.lastingParts.map(\.name))
    return self.stage(steps).model.lastingParts.filter { !there.contains($0.name) }
  }

  /// Returns the blocks that a stage of the layer-wise plan trains. The first lap adds them; further laps retrain them
  /// in order, while the others are frozen.
  private func trainedBlocks(stage: Int) -> Range<Int> {
    let position = position(ofStage: stage) - 1
    let isDescending = isRegression && regression.order == .descending
    let first = (isDescending ? steps - 1 - position : position) * method.layersPerStage
    return first..<first + method.layersPerStage
  }

  /// Returns the blocks that run at a client in a round (depth dropout, LW-FedSSL, arXiv 2401.11647): all, or the
  /// trained ones and a random selection of the others, drawn for each client and round, so that at most `activeBlocks`
  /// run.
  package func keptBlocks(_ key: RoundKey, client: String) -> [Int] {
    let depth = stageDepth(key.stage)
    guard method.activeBlocks > 0, depth > method.activeBlocks else { return Array(0..<depth) }
    // A progressive plan trains all blocks; here the blocks that the stage added count as trained.
    let trained =
      method.strategy == .layerWise ? trainedBlocks(stage: key.stage) : depth - method.layersPerStage..<depth
    var random = RandomNumbers(
      RandomNumbers.derive(seed, "depth dropout \(client)", [key.stage, key.round]), "blocks")
    let others = (0..<depth).filter { !trained.contains($0) }.shuffled(using: &random)
    return (others.prefix(method.activeBlocks - trained.count) + Array(trained)).sorted()
  }

  /// Returns the number of blocks of a stage's model.
  package func stageDepth(_ stage: Int) -> Int {
    // A regression updates matrices that all exist.
    if method.strategy.hasSingleStage || isRegression { return encoder.depth }
    let stages = method.classification == nil ? min(stage, steps) : position(ofStage: stage)
    return stages * method.layersPerStage
  }

  /// Returns the options of a client's training on `images` images, or nodes of a graph of `nodes` nodes, by default of
  /// these alone. A client with fewer than a batch uses smaller batches and, with images, a proportionally smaller learning
  /// rate; clients often have few nodes with labels, whose steps would then come to nothing.
  package func trainingOptions(
    _ place: SchedulePlace, stage: Int, images: Int, nodes: Int? = nil
  ) -> TrainingOptions {
    let batch = min(local.batch, images)
    let isOfNodes = if case .nodes = encoder.input { true } else { false }
    var options = TrainingOptions(
      momentum: method.momentum, temperature: method.temperature,
      alignment: method.alignment, proximal: local.proximal, batch: batch,
      epochs: local.epochs, weightDecay: local.weightDecay,
      schedule: LearningRateSchedule(
        local.schedule, rate: isOfNodes ? local.scaledRate : local.learningRate * Float(batch) / 256,
        from: place.from, to: place.to, warmUp: Double(local.warmup)))
    options.optimiser = local.optimizer
    options.localViews = localViews
    (options.gradientMomentum, options.trustCoefficient) = (local.momentum, local.trustCoefficient)
    options.regularisers += method.regularisers.regularisers(self, stage: stage)
    if isOfNodes { (options.nodes, options.fanouts) = (nodes ?? images, local.neighbours) }
    return options
  }

  /// Returns these options, adjusted to fit into a client's memory: `limit`, or the plan's limit, minus the `resident`
  /// bytes in use. Throws ``MemoryPlan/TooSmall`` if no options fit.
  package func trainingOptions(
    _ place: SchedulePlace, images: Int, nodes: Int? = nil, of stage: Stage, workers: Int,
    limit: ByteCount? = nil, resident: Int
  ) throws(MemoryPlan.TooSmall) -> TrainingOptions {
    let options = trainingOptions(place, stage: stage.index, images: images, nodes: nodes)
    guard let limit = limit ?? local.memory else { return options }
    // In addition to the trainer, memory holds a layer being received, the update being sent, and the base of its
    // encoding.
    let copies = traffic.codec == .plain ? 1 : 2
    let passing = copies * stage.count + (stage.model.parts.map(\.range.count).max() ?? 0)
    let allowed = limit.bytes - resident - passing * MemoryLayout<Float>.stride
    return try MemoryPlan.fit(stage, options, workers: workers, allowed: allowed)
  }

  /// Returns whether the server calibrates after a round, which changes all layers.
  package func isCalibrated(after key: RoundKey) -> Bool {
    method.calibration?.isDue(round: key.round, of: mostRounds(stage: key.stage)) ?? false
  }

  /// Returns the options of the server's calibration after a round: the same loss without the terms that refer to the
  /// global model, which calibration replaces.
  package func calibrationOptions(_ key: RoundKey, _ calibration: Calibration, images: Int) -> TrainingOptions
  {
    var options = trainingOptions(curriculum.place(of: key), stage: key.stage, images: images)
    options.regularisers.removeAll(where: \.usesReference)
    options.epochs = calibration.epochs
    return options
  }

  /// Returns the seed of a client's training in a round, below 2^53.
  package func trainingSeed(_ key: RoundKey, client: String) -> UInt64 {
    RandomNumbers.derive(seed, "training \(client)", [key.stage, key.round]) >> 11
  }
}
