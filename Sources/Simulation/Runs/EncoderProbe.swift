import Datasets
import Engine
import Federation

/// The linear probe of an encoder on labelled images.
struct EncoderProbe {
  let plan: Plan
  let train: ImageSet
  let test: ImageSet
  let threads: Int

  /// The share of test images whose class a linear probe of the training images predicts, 0 … 1.
  func accuracy(of snapshot: Snapshot) -> Double {
    let model = snapshot.stage.model
    let parameters = Storage(model.layout)
    snapshot.write(into: parameters)
    let workers = Workers(threads)
    let trained = represent(train, model, parameters, workers)
    let tested = represent(test, model, parameters, workers)
    let probe = LinearProbe(
      trained.all.reshaped(train.count, plan.encoder.output), labels: train.labels ?? [],
      classes: max(train.classes, test.classes))
    return probe.accuracy(tested.all.reshaped(test.count, plan.encoder.output), labels: test.labels ?? [])
  }

  private func represent(
    _ images: ImageSet, _ model: Model, _ parameters: borrowing Storage, _ workers: Workers
  ) -> Storage {
    let augmenter = Augmenter(plan.augmentation, size: plan.encoder.image, channels: plan.encoder.channels)
    return Representations.of(images.count, by: model, parameters, workers: workers) { image, _, pixels in
      augmenter.plain(images, index: image, into: pixels)
    }
  }
}

extension Plan {
  /// The plan's finished encoder as it would be without training.
  func untrained() -> Snapshot {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }
}
