import Datasets
import Engine
import Federation

/// An encoder whose random parameters all differ from their initial values, since 0 and 1 hide errors.
struct EncoderFixture {
  let checkpoint: EncoderCheckpoint

  /// - Parameter classification: the classes of an encoder with exits after each of its blocks.
  init(
    _ configuration: EncoderConfiguration, depth: Int? = nil, classification: Plan.Classification? = nil,
    seed: UInt64
  ) {
    var plan = Plan(
      name: "fixture", encoder: configuration, heads: HeadConfiguration(hidden: 4, output: 4))
    plan.method.initialisation = .random
    if configuration.family == .gat { plan.method.objective = .infomax }
    if let classification {
      plan.method.objective = .classification
      plan.method.classification = classification
    }
    let stage = plan.stage(depth ?? configuration.depth)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    for entry in stage.model.layout.entries {
      var random = RandomNumbers(seed, "fixture \(entry.name)")
      let values = parameters[entry.slot].flat
      // Weights in proportion to the number of inputs, so that no layer amplifies its input much.
      let bound = entry.shape.count == 1 ? 0.1 : 1 / Float(entry.slot.columns).squareRoot()
      for index in 0..<values.count { values[0, index] += random.uniform(-bound, bound) }
    }
    checkpoint = EncoderCheckpoint(
      Snapshot(stage, parameters), plan.augmentation, method: plan.method,
      origin: .init(plan: plan.name, stage: stage.index, round: 1))
  }

  static let vit = EncoderConfiguration(
    image: 8, channels: 1, patch: 4, width: 8, depth: 3, heads: 2, mlpRatio: 3)
  static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 3, depth: 4))
}
