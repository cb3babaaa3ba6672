/// An encoder of so many blocks with the heads that train it, and the layout of all their parameters.
///
/// The order is stem, blocks, readout, projector, predictor: what a stage trains is then one range.
package struct Model: Sendable {
  /// A range of the layout that travels and is stored as one: what the papers call a layer.
  package struct Part: Sendable, Hashable {
    /// As the encoder's family has it: `stem`, `blocks.0` …, `norm`; then `projector` and `predictor`.
    package let name: String
    package let range: Range<Int>
  }

  package let layout: Layout
  package let encoder: any Encoder
  package let projector: Head
  /// In front of a loss with a target branch; nil for others.
  package let predictor: Head?
  /// In layout order, without gaps.
  package let parts: [Part]
  /// The encoder's parameters, heads left out: what an exported checkpoint holds.
  package let encoderRange: Range<Int>

  /// The encoder of the given blocks, by their indices in the finished one.
  package init(
    _ configuration: EncoderConfiguration, heads: HeadConfiguration, blocks: [Int], predictor: Bool = false
  ) {
    precondition(
      !blocks.isEmpty && blocks.allSatisfy((0..<configuration.depth).contains),
      "blocks \(blocks) of \(configuration.depth)")
    var layout = Layout()
    encoder = configuration.makeEncoder(blocks: blocks, in: &layout)
    encoderRange = layout.range
    layout.part = "projector"
    projector = Head(
      "projector", widths: [configuration.output, heads.hidden, heads.hidden, heads.output],
      bias: heads.bias, in: &layout)
    layout.part = "predictor"
    self.predictor =
      predictor
      ? Head("predictor", widths: [heads.output, heads.hidden, heads.output], bias: heads.bias, in: &layout)
      : nil
    self.layout = layout
    parts = Self.parts(of: layout)
  }

  /// The first `depth` blocks.
  package init(
    _ configuration: EncoderConfiguration, heads: HeadConfiguration, depth: Int, predictor: Bool = false
  ) {
    self.init(configuration, heads: heads, blocks: Array(0..<depth), predictor: predictor)
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
