import Engine
import Federation

extension Plan {
  /// The plan's finished encoder as it would be without training.
  func untrained() -> EncoderCheckpoint {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return EncoderCheckpoint(Snapshot(stage, parameters), augmentation)
  }
}
