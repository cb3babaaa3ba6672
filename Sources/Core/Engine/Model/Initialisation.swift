/// How parameters start.
package enum Initialisation {
  /// Draws every parameter of a model, the same for the same seed, whatever the depth: each parameter has a
  /// random stream of its own, named after it.
  ///
  /// Of which distribution is the encoder's and the objective's to say. Of transformers, Xavier's uniform distribution (as in MoCo v3) made the untrained encoder better
  /// and the trained one not clearly so.
  package static func random(_ model: Model, into parameters: borrowing Storage, seed: UInt64) {
    for entry in model.layout.entries {
      var random = RandomNumbers(seed, "parameter \(entry.name)")
      let values = parameters[entry.slot].flat
      let distribution =
        entry.slot.offset < model.encoderRange.upperBound
        ? model.encoder.distribution(of: entry) : model.objective.distribution(of: entry)
      for index in 0..<values.count { values[0, index] = distribution.draw(&random) }
    }
  }

  /// Starts a new stage from the one below: every part that both have is copied, and new blocks start as
  /// `method` says. `layersPerStage` is how far below its model a transferred block stands.
  package static func grow(
    _ model: Model, into parameters: borrowing Storage, from below: Model,
    _ belowParameters: borrowing Storage, _ method: LayerInitialisation, layersPerStage: Int, seed: UInt64
  ) {
    random(model, into: parameters, seed: seed)
    for part in model.parts {
      guard let source = source(of: part, in: below, method, layersPerStage) else { continue }
      let (to, from) = (parameters[part.range], belowParameters[source.range])
      precondition(to.count == from.count, "\(part.name) of \(to.count) from \(from.count)")
      Elementwise.copy(from, to: to)
    }
  }

  private static func source(
    of part: Model.Part, in below: Model, _ method: LayerInitialisation, _ layersPerStage: Int
  ) -> Model.Part? {
    if let same = below.part(part.name) { return same }
    guard method == .transfer, part.name.hasPrefix("blocks."), let index = Int(part.name.dropFirst(7)) else {
      return nil
    }
    return below.part("blocks.\(index - layersPerStage)")
  }

  /// What a parameter's numbers are drawn from.
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
