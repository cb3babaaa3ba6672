/// An encoder with a number of blocks, the heads of its objective, and the layout of all parameters.
///
/// The order is stem, blocks, readout, heads, exits; an encoder of nodes or rows has no stem.
package struct Model: Sendable {
  /// A range of the layout that is transmitted and stored as a unit; the papers call it a layer.
  package struct Part: Sendable, Hashable {
    /// The name from the encoder's family: `stem`, `blocks.0` …, `norm`; then the objective's heads, `projector` and
    /// `predictor`, or `head`; then the exits, `exits.1` … by their depth.
    package let name: String
    package let range: Range<Int>
  }

  package let layout: Layout
  package let encoder: any Encoder
  /// The configuration that made the encoder; nil if a function did.
  private let made: EncoderConfiguration?
  private let objectiveConfiguration: ObjectiveConfiguration
  /// The training objective with its heads.
  package let objective: any Objective
  /// The exits below the last block, by depth.
  package let exits: [Exit]
  /// The end of readout and heads.
  package let headEnd: Int
  /// The parts in layout order, without gaps.
  package let parts: [Part]
  /// The range of the encoder's parameters without heads, which is the content of an exported checkpoint.
  package let encoderRange: Range<Int>

  /// Creates a model with the given blocks, by their indices in the finished encoder, and with exits after these
  /// numbers of blocks, for which the objective must classify.
  package init(
    _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration, blocks: [Int],
    exits depths: [Int] = []
  ) {
    precondition(
      !blocks.isEmpty && blocks.allSatisfy((0..<configuration.depth).contains),
      "blocks \(blocks) of \(configuration.depth)")
    self.init(configuration, objective: objective, exits: depths) {
      configuration.makeEncoder(blocks: blocks, in: &$0)
    }
  }

  /// Creates a model with the encoder of a family that is not in ``EncoderConfiguration``. `makeEncoder` adds its
  /// parameters to the layout.
  package init(
    objective: ObjectiveConfiguration, exits depths: [Int] = [],
    encoder makeEncoder: (inout Layout) -> any Encoder
  ) {
    self.init(nil, objective: objective, exits: depths, makeEncoder)
  }

  private init(
    _ configuration: EncoderConfiguration?, objective: ObjectiveConfiguration, exits depths: [Int],
    _ makeEncoder: (inout Layout) -> any Encoder
  ) {
    var layout = Layout()
    (made, objectiveConfiguration) = (configuration, objective)
    encoder = makeEncoder(&layout)
    encoderRange = layout.range
    self.objective = objective.makeObjective(width: encoder.output, in: &layout)
    headEnd = layout.range.upperBound
    var exits: [Exit] = []
    for depth in depths {
      exits.append(Exit(behind: depth, of: encoder, self.objective, in: &layout))
    }
    self.exits = exits
    self.layout = layout
    parts = Self.parts(of: layout)
  }

  /// Creates a model with the first `depth` blocks.
  package init(
    _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration, depth: Int
  ) {
    self.init(configuration, objective: objective, blocks: Array(0..<depth))
  }

  /// The configuration of the encoder; traps for a family that is not in ``EncoderConfiguration``.
  package var configuration: EncoderConfiguration {
    guard let made else { preconditionFailure("\(type(of: encoder)) has no configuration") }
    return made
  }

  /// The number of blocks.
  package var depth: Int { encoder.blocks.count }

  /// Returns the part with a name, or nil if the model has none.
  package func part(_ name: String) -> Part? { parts.first { $0.name == name } }

  /// The number of parts before the blocks: 1, or 0 without a stem.
  package var stemParts: Int { parts.first?.name == Stage.Content.stem ? 1 : 0 }

  /// Returns the part of the block at a position.
  package func blockPart(_ position: Int) -> Part { parts[stemParts + position] }

  /// The start of readout and heads.
  package var headStart: Int { blockPart(depth - 1).range.upperBound }

  /// The range of readout and heads.
  package var headRange: Range<Int> { headStart..<headEnd }

  /// The parts by the names that they have in later stages too, in order of depth: stem, blocks, and exits, of which
  /// readout and heads are the last.
  package var lastingParts: [Part] {
    parts.filter { !headRange.contains($0.range.lowerBound) }
      + [Part(name: Exit.part(depth), range: headRange)]
  }

  /// Returns the model with all blocks of the configuration, and exits after these numbers of blocks.
  package func completed(exits depths: [Int]) -> Model {
    Model(
      configuration, objective: objectiveConfiguration, blocks: Array(0..<configuration.depth), exits: depths)
  }

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

/// Counts floating-point operations of optimiser steps. It counts only matrix products; the rest is a few per cent.
package enum OperationCount {
  /// Returns the operations of one optimiser step on `batch` images in all views. Frozen prefix blocks cost one forward
  /// pass; trained blocks a forward pass and a backward pass of twice its cost; frozen blocks above them a forward pass
  /// and a backward pass of the same cost; every further branch a forward pass. The last block counts as far as it is
  /// computed. Local views go through the online branch alone.
  package static func step(
    _ stage: Stage, batch: Int, branches: Int, features: Bool = false, localViews: LocalViews? = nil,
    lastBlock: LastBlock = .readout
  ) -> Int {
    let (objective, encoder) = (stage.model.objective, stage.model.encoder)
    let shown = objective.shownPatches
    let global = image(
      stage, encoder.operations(showing: shown), passes: 3 + branches, features: features,
      whole: lastBlock == .whole || shown != nil)
    let views = objective.views * batch * global
    guard let localViews, let local = encoder.cropped(to: localViews.size) else { return views }
    return views + localViews.count * batch
      * image(stage, local.operations, passes: 3, features: false, whole: lastBlock == .whole)
  }

  /// Returns the operations of a step for a view of an image.
  private static func image(
    _ stage: Stage, _ operations: EncoderOperations, passes: Int, features: Bool, whole: Bool
  ) -> Int {
    let first = stage.prefixDepth
    let frozen = features ? 0 : operations.blocks[..<first].reduce(0, +)
    let last = whole ? operations.blocks[operations.blocks.count - 1] : operations.lastBlock
    let above = (first..<operations.blocks.count).reduce(0) { sum, block in
      let forward = block == operations.blocks.count - 1 ? last : operations.blocks[block]
      return sum + (stage.trainedBlocks.contains(block) ? passes : passes - 1) * forward
    }
    var image = frozen + above + passes * operations.readout
    // Images have no gradient, so the stem's backward pass only computes weight gradients.
    image += stage.trainsStem ? (passes - 1) * operations.stem : features ? 0 : operations.stem
    image += stage.model.objective.operations(passes: passes)
    return image
  }
}
