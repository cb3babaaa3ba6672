/// How parameters start.
package enum Initialisation {
  /// Draws every parameter of a model, the same for the same seed, whatever the depth: each parameter has a
  /// random stream of its own, named after it.
  ///
  /// As timm's VisionTransformer has it: weights of the encoder's linear layers, class token and positions
  /// from a normal distribution, the patch projection as nn.Conv2d and the heads as nn.Linear have theirs;
  /// biases 0, normalisations 1 and 0. Xavier's uniform distribution (as in MoCo v3) made the untrained
  /// encoder better and the trained one not clearly so.
  package static func random(_ model: Model, into parameters: borrowing Storage, seed: UInt64) {
    for entry in model.layout.entries {
      var random = RandomNumbers(seed, "parameter \(entry.name)")
      let values = parameters[entry.slot].flat
      let kind = Kind(of: entry)
      for index in 0..<values.count { values[0, index] = kind.draw(&random) }
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

  /// The distributions that parameters start from.
  private enum Kind {
    case constant(Float)
    case normal(deviation: Float)
    case uniform(bound: Float)

    init(of entry: Layout.Entry) {
      let name = entry.name
      let isHead = name.hasPrefix("projector") || name.hasPrefix("predictor")
      if name == "cls_token" {
        self = .normal(deviation: 1e-6)
      } else if entry.shape.count == 1 {
        self = .constant(name.hasSuffix("weight") ? 1 : 0)
      } else if isHead || name == "patch_embed.proj.weight" {
        self = .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
      } else {
        self = .normal(deviation: 0.02)
      }
    }

    func draw(_ random: inout RandomNumbers) -> Float {
      switch self {
      case .constant(let value): value
      case .normal(let deviation): random.normal() * deviation
      case .uniform(let bound): random.uniform(-bound, bound)
      }
    }
  }
}
