import Engine

/// What a plan means for training.
extension Plan {
  /// Stage `index`, counted from 1: which layers exist and which train.
  package func stage(_ index: Int) -> Stage {
    Stage(
      method.strategy, index: index, layersPerStage: method.layersPerStage, encoder, heads: heads)
  }

  /// A client's training in a round, on so many images. A client with fewer images than a batch trains on
  /// batches of what it has, at a rate that is scaled down with them.
  package func trainingOptions(_ key: RoundKey, images: Int) -> TrainingOptions {
    let batch = min(local.batch, images)
    let rounds = Float(rounds(stage: key.stage))
    return TrainingOptions(
      temperature: method.temperature, alignment: method.alignment, proximal: local.proximal, batch: batch,
      epochs: local.epochs, weightDecay: local.weightDecay,
      schedule: LearningRateSchedule(
        local.schedule, rate: local.learningRate * Float(batch) / 256, from: Float(key.round - 1) / rounds,
        to: Float(key.round) / rounds))
  }

  /// The server's calibration after a round: the same loss, without the terms that compare with the
  /// global model, which it is about to replace.
  package func calibrationOptions(_ key: RoundKey, _ calibration: Calibration, images: Int) -> TrainingOptions
  {
    var options = trainingOptions(key, images: images)
    (options.alignment, options.proximal, options.epochs) = (0, 0, calibration.epochs)
    return options
  }

  /// The seed of a client's training in a round, below 2^53.
  package func trainingSeed(_ key: RoundKey, client: String) -> UInt64 {
    RandomNumbers.derive(seed, "training \(client)", [key.stage, key.round]) >> 11
  }
}
