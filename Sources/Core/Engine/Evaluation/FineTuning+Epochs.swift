/// Whole trainings, and what comes of them.
extension FineTuning {
  /// Trains for the options' epochs on view 0 of the images of a source, in an order drawn from `seed` each
  /// epoch; an epoch's last incomplete batch is dropped. Returns the mean loss over the last epoch's steps.
  ///
  /// `progress(step, of, loss)` is called after every step.
  @discardableResult
  package func train(
    _ source: some ViewSource, labels: [Int], seed: UInt64,
    progress: (Int, Int, Float) -> Void = { _, _, _ in }
  ) -> Float {
    precondition(source.count == labels.count, "\(source.count) images, \(labels.count) labels")
    precondition(source.count >= options.batch, "\(source.count) images for a batch of \(options.batch)")
    let stepsPerEpoch = source.count / options.batch
    let steps = stepsPerEpoch * options.epochs
    var order = Array(0..<source.count)
    var total: Double = 0
    for step in 0..<steps {
      let (epoch, first) = (step / stepsPerEpoch, step % stepsPerEpoch * options.batch)
      if first == 0 {
        var random = RandomNumbers(seed, "fine-tuning order", epoch)
        order.shuffle(using: &random)
        total = 0
      }
      let rate = options.rate(step: step, of: steps)
      let loss = self.step(learningRate: rate) {
        labels[order[first + $0]]
      } _: { view, image, worker, pixels in
        source.write(view: view, image: order[first + image], epoch: epoch, worker: worker, into: pixels)
      }
      total += Double(loss)
      progress(step + 1, steps, loss)
    }
    return Float(total / Double(stepsPerEpoch))
  }

  /// The share of images whose class is predicted, 0 … 1; `write(image, worker, pixels)` gives an image as
  /// [C, H, W], normalised.
  package func accuracy(labels: [Int], _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void) -> Double {
    guard !labels.isEmpty else { return 0 }
    let representations = Representations.of(
      labels.count, by: encoder, parameters, workers: workers, chunk: options.chunk, write)
    let logits = Storage(0..<labels.count * parameters[head.weight].rows)
    let y = logits.all.reshaped(labels.count, parameters[head.weight].rows)
    head.forward(
      representations.all.reshaped(labels.count, encoder.configuration.output), into: y, parameters)
    let right = labels.indices.count { row in
      let best = (1..<y.columns).reduce(0) { y[row, $1] > y[row, $0] ? $1 : $0 }
      return best == labels[row]
    }
    return Double(right) / Double(labels.count)
  }
}
