/// An encoder of so many blocks with the heads that train it, and the layout of all their parameters.
///
/// The order is stem, blocks, readout, the objective's heads.
package struct Model: Sendable {
  /// A range of the layout that travels and is stored as one: what the papers call a layer.
  package struct Part: Sendable, Hashable {
    /// As the encoder's family has it: `stem`, `blocks.0` …, `norm`; then the objective's heads,
    /// `projector` and `predictor`, or `head`.
    package let name: String
    package let range: Range<Int>
  }

  package let layout: Layout
  package let encoder: any Encoder
  /// What it is trained for, with its heads.
  package let objective: any Objective
  /// In layout order, without gaps.
  package let parts: [Part]
  /// The encoder's parameters, heads left out: what an exported checkpoint holds.
  package let encoderRange: Range<Int>

  /// The encoder of the given blocks, by their indices in the finished one.
  package init(
    _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration, blocks: [Int]
  ) {
    precondition(
      !blocks.isEmpty && blocks.allSatisfy((0..<configuration.depth).contains),
      "blocks \(blocks) of \(configuration.depth)")
    var layout = Layout()
    encoder = configuration.makeEncoder(blocks: blocks, in: &layout)
    encoderRange = layout.range
    self.objective = objective.makeObjective(width: configuration.output, in: &layout)
    self.layout = layout
    parts = Self.parts(of: layout)
  }

  /// The first `depth` blocks.
  package init(
    _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration, depth: Int
  ) {
    self.init(configuration, objective: objective, blocks: Array(0..<depth))
  }

  /// How many blocks there are.
  package var depth: Int { encoder.blocks.count }

  /// The part of a name, or nil where the model has none such.
  package func part(_ name: String) -> Part? { parts.first { $0.name == name } }

  /// The part that is the block at a position.
  package func blockPart(_ position: Int) -> Part { parts[1 + position] }

  /// Where readout and heads begin.
  package var headStart: Int { blockPart(depth - 1).range.upperBound }

  private static func parts(of layout: Layout) -> [Part] {
    var parts: [Part] = []
    for entry in layout.entries {
      let range = entry.slot.range
      if let last = parts.last, last.name == entry.part {
        parts[parts.count - 1] = Part(name: entry.part, range: last.range.lowerBound..<range.upperBound)
      } else {
        parts.append(Part(name: entry.part, range: range))
      }
    }
    return parts
  }
}
