/// Fine-tuning of an encoder as a classifier: a linear layer is added to its representations, and all layers are
/// trained with labels. It is a ``Trainer`` with the classification objective and every layer trained.
package struct FineTuning {
  package let options: Options
  package let trainer: Trainer
  private let head: Classifier

  /// The settings of fine-tuning. The base rate, the batch size, the warm-up and the cosine are LW-FedSSL's (arXiv
  /// 2401.11647); the weight decay and the length of the warm-up are not.
  package struct Options: Sendable, Hashable {
    package var epochs: Int
    /// The batch size B, images per step.
    package var batch: Int
    /// The learning rate for a batch of 256; a step multiplies it by batch / 256.
    package var learningRate: Float = 1e-3
    package var weightDecay: Float = 0.05
    /// The share of the steps during which the rate rises.
    package var warmUp: Double = 0.1
    /// The number of images that a worker processes at a time.
    package var chunk = 8

    /// Creates the settings for `images` images; with fewer than 256, a batch contains all of them.
    package init(epochs: Int, images: Int) {
      precondition(epochs >= 0 && images > 0, "\(epochs) epochs of \(images) images")
      self.epochs = epochs
      batch = min(256, images)
    }

    /// The training options: a linear warm-up to the full rate, then half a cosine to 0 after the last step.
    package var training: TrainingOptions {
      TrainingOptions(
        batch: batch, epochs: epochs, weightDecay: weightDecay,
        schedule: LearningRateSchedule(
          .cosine, rate: learningRate * Float(batch) / 256, warmUp: warmUp), chunk: chunk)
    }
  }

  /// Allocates memory and draws all parameters; the caller then sets those of the encoder.
  package init(
    _ configuration: EncoderConfiguration, classes: Int, _ options: Options, seed: UInt64, workers: Workers
  ) {
    self.options = options
    let stage = Stage(
      .endToEnd, index: 1, configuration,
      objective: .classification(ClassifierConfiguration(classes: classes, convention: .timm)))
    trainer = Trainer(stage, options.training, workers: workers)
    guard let objective = stage.model.objective as? ClassificationObjective else {
      preconditionFailure("a classification has another objective")
    }
    head = objective.head
    Initialisation.random(stage.model, into: trainer.parameters, seed: seed)
    trainer.begin()
  }

  /// The model: the encoder's parameters, then the linear layer's.
  package var model: Model { trainer.stage.model }

  /// Trains on view 0 of the images of a labelled source, in an order drawn from `seed` each epoch. Returns the mean
  /// loss over the last epoch's steps.
  ///
  /// `progress(step, of, loss)` is called after every step.
  @discardableResult
  package func train(
    _ source: some RowSource, seed: UInt64, progress: (Int, Int, Float) -> Void = { _, _, _ in }
  ) -> Float {
    trainer.train(source, seed: seed, stream: "fine-tuning order") {
      progress($0, $1, $2)
      return true
    }.lastLoss
  }

  /// Returns the share of images classified correctly, 0 … 1; `write(image, worker, pixels)` writes an image as [C, H,
  /// W], normalised.
  package func accuracy(labels: [Int], _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void) -> Double {
    guard !labels.isEmpty else { return 0 }
    let representations = Representations.of(
      labels.count, by: model.encoder, trainer.parameters, workers: trainer.workers, chunk: options.chunk,
      write)
    var layout = Layout(alignment: 16)
    let trace = Classifier.TracePlan(head, rows: labels.count, in: &layout)
    let work = Storage(layout)
    head.forward(
      representations.all.reshaped(labels.count, model.encoder.output), trace, rows: 0..<labels.count, work,
      trainer.parameters)
    let y = work[trace.logits]
    let right = labels.indices.count { row in
      let best = (1..<y.columns).reduce(0) { y[row, $1] > y[row, $0] ? $1 : $0 }
      return best == labels[row]
    }
    return Double(right) / Double(labels.count)
  }
}
