/// The result of a local training.
package struct TrainingSummary: Sendable, Hashable {
  package var steps: Int
  /// The mean loss over all steps.
  package var loss: Float
  /// The mean loss over the completed steps of the last epoch.
  package var lastLoss: Float
  /// Whether it was stopped before its last step.
  package var wasStopped: Bool
}

extension Trainer {
  /// Trains for the options' epochs on the images of a source, in an order drawn each epoch from `seed` and the name of
  /// a random stream. The last incomplete batch of an epoch is dropped.
  ///
  /// `progress(step, of, loss)` is called after every step and returns whether to continue.
  package func train(
    _ source: some RowSource, seed: UInt64, stream: String = "order",
    progress: (Int, Int, Float) -> Bool = { _, _, _ in true }
  ) -> TrainingSummary {
    precondition(source.count >= options.batch, "\(source.count) images for a batch of \(options.batch)")
    precondition(!source.givesFeatures || !stage.trainsStem, "without a frozen prefix there are only images")
    let stepsPerEpoch = source.count / options.batch
    let steps = stepsPerEpoch * options.epochs
    var (total, last): (Double, Double) = (0, 0)
    var order = Array(0..<source.count)
    for step in 0..<steps {
      let (epoch, first) = (step / stepsPerEpoch, step % stepsPerEpoch * options.batch)
      if first == 0 {
        var random = RandomNumbers(seed, stream, epoch)
        order.shuffle(using: &random)
        last = 0
      }
      let rate = options.schedule.rate(step: step, of: steps)
      let images = Minibatch(
        source, images: order[first..<first + options.batch], epoch: epoch, step: step % stepsPerEpoch)
      let loss = self.step(learningRate: rate, images).total
      total += Double(loss)
      last += Double(loss)
      if !progress(step + 1, steps, loss) && step + 1 < steps {
        return TrainingSummary(
          steps: step + 1, loss: Float(total / Double(step + 1)),
          lastLoss: Float(last / Double(step % stepsPerEpoch + 1)), wasStopped: true)
      }
    }
    return TrainingSummary(
      steps: steps, loss: Float(total / Double(max(steps, 1))),
      lastLoss: Float(last / Double(max(stepsPerEpoch, 1))), wasStopped: false)
  }
}
