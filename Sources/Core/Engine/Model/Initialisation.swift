/// How parameters start.
package enum Initialisation {
  /// Draws every parameter of a model, the same for the same seed, whatever the depth: each parameter has a
  /// random stream of its own, named after it.
  ///
  /// As MoCo v3 has it (arXiv 2104.02057, published code): uniform Xavier weights in the encoder, queries,
  /// keys and values each taken as a matrix of its own; class token and positions from a normal
  /// distribution; heads as nn.Linear has them; normalisations 1 and 0.
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
      let (rows, columns) = (Float(entry.slot.rows), Float(entry.slot.columns))
      let isHead = name.hasPrefix("projector") || name.hasPrefix("predictor")
      if name == "cls_token" {
        self = .normal(deviation: 1e-6)
      } else if name == "pos_embed" {
        self = .normal(deviation: 0.02)
      } else if entry.shape.count == 1 {
        self = .constant(name.hasSuffix("weight") ? 1 : 0)
      } else if isHead {
        self = .uniform(bound: 1 / columns.squareRoot())
      } else if name.hasSuffix("qkv.weight") {
        self = .uniform(bound: (6 / (rows / 3 + columns)).squareRoot())
      } else {
        self = .uniform(bound: (6 / (rows + columns)).squareRoot())
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
