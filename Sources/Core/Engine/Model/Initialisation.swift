/// Initialises parameters.
package enum Initialisation {
  /// Draws every parameter of a model. Each parameter has a separate random stream with its name, so the values depend
  /// only on the seed, not on the depth.
  ///
  /// The encoder and the objective define the distributions. For transformers, Xavier's uniform distribution (as in
  /// MoCo v3) gave a better untrained encoder, but no clear improvement after training.
  package static func random(_ model: Model, into parameters: borrowing Storage, seed: UInt64) {
    draw(model, into: parameters, seed: seed)
    model.encoder.initialise(parameters, seed: seed)
  }

  private static func draw(_ model: Model, into parameters: borrowing Storage, seed: UInt64) {
    for entry in model.layout.entries {
      var random = RandomNumbers(seed, "parameter \(entry.name)")
      let values = parameters[entry.slot].flat
      let isEncoders =
        entry.slot.offset < model.encoderRange.upperBound
        || model.exits.contains { $0.readoutRange.contains(entry.slot.offset) }
      let distribution =
        isEncoders ? model.encoder.distribution(of: entry) : model.objective.distribution(of: entry)
      for index in 0..<values.count { values[0, index] = distribution.draw(&random) }
    }
  }

  /// Initialises a new stage from the previous one: copies every part that both have, except for those that the objective
  /// starts anew in each stage, and initialises new blocks with `method`. A transferred block is copied from the block
  /// `layersPerStage` below it. An exit after the blocks of the previous stage is a copy of its readout and classifier.
  package static func grow(
    _ model: Model, into parameters: borrowing Storage, from below: Model,
    _ belowParameters: borrowing Storage, _ method: LayerInitialisation, layersPerStage: Int, seed: UInt64
  ) {
    draw(model, into: parameters, seed: seed)
    // Initial matrices are not computed only to be replaced.
    let isNew = model.parts.contains {
      model.encoderRange.contains($0.range.lowerBound)
        && source(of: $0, in: below, method, layersPerStage) == nil
    }
    if isNew { model.encoder.initialise(parameters, seed: seed) }
    for part in model.parts where !model.objective.partsOfStage.contains(part.name) {
      guard let source = source(of: part, in: below, method, layersPerStage) else { continue }
      // The classifier of a ResNet has another width at each stage, and starts at random.
      if source.count != part.range.count, model.headRange.contains(part.range.lowerBound) { continue }
      let (to, from) = (parameters[part.range], belowParameters[source])
      precondition(to.count == from.count, "\(part.name) of \(to.count) from \(from.count)")
      Elementwise.copy(from, to: to)
    }
  }

  private static func source(
    of part: Model.Part, in below: Model, _ method: LayerInitialisation, _ layersPerStage: Int
  ) -> Range<Int>? {
    if let same = below.part(part.name) { return same.range }
    if part.name == Exit.part(below.depth) { return below.headRange }
    guard method == .transfer, part.name.hasPrefix("blocks."), let index = Int(part.name.dropFirst(7)) else {
      return nil
    }
    return below.part("blocks.\(index - layersPerStage)")?.range
  }

  /// The distribution from which a parameter's values are drawn.
  package enum Distribution: Sendable {
    case constant(Float)
    case normal(deviation: Float)
    case uniform(bound: Float)

    fileprivate func draw(_ random: inout RandomNumbers) -> Float {
      switch self {
      case .constant(let value): value
      case .normal(let deviation): random.normal() * deviation
      case .uniform(let bound): random.uniform(-bound, bound)
      }
    }
  }
}
