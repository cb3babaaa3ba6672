import Engine
import Testing

@Suite struct InitialisationTests {
  private static func model(depth: Int) -> Model {
    Model(
      EncoderConfiguration(image: 8, patch: 4, width: 24, depth: 6, heads: 3),
      objective: .contrastive(HeadConfiguration(hidden: 20, output: 10, bias: true)),
      depth: depth)
  }

  private static func bits(_ model: Model, _ parameters: borrowing Storage, _ part: String) -> [UInt32] {
    model.part(part).map { parameters[$0.range].bits } ?? []
  }

  @Test func isTheSameForASeedWhateverTheDepth() {
    let (shallow, deep) = (Self.model(depth: 2), Self.model(depth: 5))
    let one = Storage(shallow.layout)
    let other = Storage(deep.layout)
    Initialisation.random(shallow, into: one, seed: 7)
    Initialisation.random(deep, into: other, seed: 7)
    for part in shallow.parts {
      #expect(Self.bits(shallow, one, part.name) == Self.bits(deep, other, part.name), "\(part.name), seed 7")
    }
    Initialisation.random(shallow, into: one, seed: 8)
    for part in shallow.parts where part.name != "norm" {
      #expect(Self.bits(shallow, one, part.name) != Self.bits(deep, other, part.name), "\(part.name), seed 8")
    }
  }

  @Test func drawsFromTheDistributionsThatItNames() {
    let model = Self.model(depth: 2)
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: 9)
    for entry in model.layout.entries {
      let values = parameters[entry.slot].array()
      let largest = values.map(abs).max() ?? 0
      let square = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
      let isUniform = entry.name == "patch_embed.proj.weight" || entry.name.hasPrefix("projector")
      if entry.name == "cls_token" {
        #expect(largest > 0 && largest < 1e-5, "seed 9")
      } else if entry.shape.count == 1 {
        let constant: Float = entry.name.hasSuffix("bias") ? 0 : 1
        #expect(values.allSatisfy { $0 == constant }, "\(entry.name)")
      } else if isUniform {
        let bound = 1 / Float(entry.slot.columns).squareRoot()
        #expect(largest <= bound && largest > 0.95 * bound, "\(entry.name), seed 9")
        #expect(abs(square.squareRoot() / bound - 0.577) < 0.08, "\(entry.name), seed 9")
      } else {
        #expect(abs(square.squareRoot() - 0.02) < 0.004, "\(entry.name), seed 9")
      }
    }
  }

  /// The new blocks and the sources of a transfer, for one and for two layers per stage.
  @Test(arguments: [(2, 1, [2: 1]), (2, 2, [2: 0, 3: 1]), (3, 3, [3: 0, 4: 1, 5: 2])])
  func growing(depth: Int, layersPerStage: Int, sources: [Int: Int]) {
    let (below, model) = (Self.model(depth: depth), Self.model(depth: depth + layersPerStage))
    let old = Storage(below.layout)
    let fresh = Storage(model.layout)
    var random = RandomNumbers(10, "trained")
    old.all.draw(&random)
    Initialisation.random(model, into: fresh, seed: 11)
    for method in LayerInitialisation.allCases {
      let grown = Storage(model.layout)
      Initialisation.grow(
        model, into: grown, from: below, old, method, layersPerStage: layersPerStage, seed: 11)
      for part in model.parts {
        let source = Int(part.name.dropFirst(7)).flatMap { sources[$0] }
        let name = source.map { "blocks.\($0)" } ?? part.name
        let expected =
          source != nil && method == .random
          ? Self.bits(model, fresh, part.name) : Self.bits(below, old, name)
        #expect(Self.bits(model, grown, part.name) == expected, "\(method) \(part.name), seed 11")
      }
    }
  }
}
