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

/// Floating-point operations of optimiser steps; products alone, since all else is a few per cent.
package enum OperationCount {
  /// One optimiser step on `batch` images in all views: frozen blocks forward, trained ones forward and twice that
  /// backward, frozen ones above them forward and once that backward, every other branch forward; of the last block what is computed.
  package static func step(
    _ stage: Stage, batch: Int, branches: Int, features: Bool = false, lastBlock: LastBlock = .readout
  ) -> Int {
    let operations = stage.model.encoder.operations
    let passes = 3 + branches
    let first = stage.prefixDepth
    let frozen = features ? 0 : operations.blocks[..<first].reduce(0, +)
    let last =
      lastBlock == .whole ? operations.blocks[operations.blocks.count - 1] : operations.lastBlock
    let above = (first..<operations.blocks.count).reduce(0) { sum, block in
      let forward = block == operations.blocks.count - 1 ? last : operations.blocks[block]
      return sum + (stage.trainedBlocks.contains(block) ? passes : passes - 1) * forward
    }
    var image = frozen + above + passes * operations.readout
    // The images have no gradient, so the stem's backward pass is its weights' alone.
    image += stage.trainsStem ? (passes - 1) * operations.stem : features ? 0 : operations.stem
    image += stage.model.objective.operations(passes: passes)
    return stage.model.objective.views * batch * image
  }
}
