/// A stage of growth: the blocks that exist, and the parts that are trained and exchanged. Other parts are frozen.
package struct Stage: Sendable {
  /// The blocks and trained parts of a stage, and its lap through the layers.
  package struct Content: Sendable, Hashable, Codable {
    /// The indices of the existing blocks in the finished encoder, ascending.
    package var blocks: [Int]
    /// The names of the trained parts among ``Model/parts``; readout and heads are always trained.
    package var trained: Set<String>
    /// The number of the pass through the layers, starting at 1.
    package var lap: Int
    /// The numbers of blocks after which earlier stages have left an exit, ascending.
    package var exits: [Int]

    package init(blocks: [Int], trained: Set<String>, lap: Int = 1, exits: [Int] = []) {
      (self.blocks, self.trained, self.lap, self.exits) = (blocks, trained, lap, exits)
    }

    /// Creates a content in which the blocks `training` train, and the stem if `stem` is true.
    package init(
      blocks: [Int], training: some Sequence<Int>, stem: Bool, lap: Int = 1, exits: [Int] = []
    ) {
      self.init(
        blocks: blocks, trained: Set(training.map(Self.part) + (stem ? [Self.stem] : [])), lap: lap,
        exits: exits)
    }

    /// The name of the stem's part.
    static let stem = "stem"

    /// Returns the name of a block's part.
    static func part(_ block: Int) -> String { "blocks.\(block)" }
  }

  /// The index of the stage, starting at 1.
  package let index: Int
  package let content: Content
  package let model: Model
  /// The parts that are trained and exchanged, in layout order.
  package let parts: [Model.Part]
  /// The ranges of the trained parts in the parameter layout.
  package let ranges: [Range<Int>]

  /// Creates a stage with this content.
  package init(
    index: Int, _ content: Content, _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration
  ) {
    self.init(
      index: index, content,
      Model(configuration, objective: objective, blocks: content.blocks, exits: content.exits))
  }

  /// Creates a stage of a model that has the content's blocks. A stem that the model does not have is not trained.
  package init(index: Int, _ content: Content, _ model: Model) {
    precondition(index >= 1, "stage \(index)")
    precondition(
      content.blocks == model.encoder.blocks, "blocks \(content.blocks) of \(model.encoder.blocks)")
    var content = content
    if model.stemParts == 0 { content.trained.remove(Content.stem) }
    (self.index, self.content, self.model) = (index, content, model)
    let parts = model.parts.filter {
      content.trained.contains($0.name) || model.headRange.contains($0.range.lowerBound)
    }
    precondition(
      content.trained.allSatisfy { name in parts.contains { $0.name == name } },
      "\(content.trained.sorted()) of \(model.parts.map(\.name))")
    var ranges: [Range<Int>] = []
    for part in parts {
      if let last = ranges.last, last.upperBound == part.range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<part.range.upperBound
      } else {
        ranges.append(part.range)
      }
    }
    (self.parts, self.ranges) = (parts, ranges)
  }

  /// Creates stage `index` of a strategy; end-to-end training has a single stage.
  ///
  /// With depth dropout, `keeping` contains the indices of the stage's blocks that exist.
  package init(
    _ strategy: Strategy, index: Int, layersPerStage: Int = 1, _ configuration: EncoderConfiguration,
    objective: ObjectiveConfiguration, keeping kept: [Int]? = nil
  ) {
    let depth = strategy.hasSingleStage ? configuration.depth : index * layersPerStage
    precondition(
      index >= 1 && depth <= configuration.depth, "stage \(index) of \(configuration.depth) blocks")
    let blocks = kept ?? Array(0..<depth)
    let trained =
      switch strategy {
      case .layerWise: blocks.suffix(layersPerStage)
      case .progressive, .endToEnd: blocks[...]
      case .headOnly: blocks.prefix(0)
      }
    self.init(
      index: index,
      Content(
        blocks: blocks, training: trained,
        stem: strategy == .progressive || strategy == .endToEnd || (strategy == .layerWise && index == 1)),
      configuration, objective: objective)
  }

  /// The same model with all layers trained, as in the server's calibration.
  package var trainingEverything: Stage {
    Stage(
      index: index,
      Content(
        blocks: content.blocks, training: content.blocks, stem: true, lap: content.lap, exits: content.exits),
      model)
  }

  // MARK: - Trained parts

  package var trainsStem: Bool { content.trained.contains(Content.stem) }

  /// The positions of the trained blocks among the model's blocks.
  package var trainedBlocks: [Int] {
    content.blocks.indices.filter { content.trained.contains(Content.part(content.blocks[$0])) }
  }

  /// The number of blocks below all trained parts, whose outputs are constant during the stage. If only readout and
  /// heads train, all blocks that a pass does not need.
  package var prefixDepth: Int {
    trainsStem ? 0 : trainedBlocks.first ?? model.depth - model.encoder.tracedBlocks
  }

  /// The parts of the frozen stem and prefix, which come first in the layout; empty if the stem trains.
  package var prefixParts: ArraySlice<Model.Part> {
    model.parts.prefix(trainsStem ? 0 : model.stemParts + prefixDepth)
  }

  /// The number of trained and exchanged values.
  package var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// The trained parameters to which each image adds a gradient independently: stem and blocks.
  package var blockRanges: [Range<Int>] {
    ranges.map { $0.clamped(to: 0..<model.headStart) }.filter { !$0.isEmpty }
  }

  /// The trained parameters whose gradients depend on the whole batch: readout and heads.
  package var headRange: Range<Int> { model.headRange }

  /// The ranges that the optimiser updates: trained parameters without buffers.
  package var optimised: [Range<Int>] { ranges.flatMap { model.layout.optimised($0) } }

  /// The entries of the trained parameters, in layout order.
  package var entries: [Layout.Entry] {
    model.layout.entries.filter { entry in ranges.contains { $0.contains(entry.slot.offset) } }
  }

  /// Returns the trained values in layout order, as in an update.
  package func trainedValues(of parameters: borrowing Storage) -> [Float] {
    // Avoids an intermediate copy, because encoding an update also needs memory.
    [Float](unsafeUninitializedCapacity: count) { buffer, initialised in
      for range in ranges {
        let part = UnsafeMutableBufferPointer(rebasing: buffer[initialised..<initialised + range.count])
        _ = part.initialize(
          from: UnsafeBufferPointer(start: parameters[range].start, count: range.count))
        initialised += range.count
      }
    }
  }
}

/// Determines the layers that exist, train and are exchanged at a stage (docs/method.md).
package enum Strategy: String, Sendable, Codable, CaseIterable {
  /// LW-FedSSL: L_1 … L_s exist, L_s trains.
  case layerWise = "layer-wise"
  /// Prog-FedSSL: L_1 … L_s exist and train.
  case progressive
  /// FedSSL: all layers exist and train, in a single stage.
  case endToEnd = "end-to-end"
  /// All layers exist and are frozen, in a single stage; only readout and heads train.
  case headOnly = "head-only"

  /// Whether all layers exist from the beginning, so that there is a single stage.
  package var hasSingleStage: Bool { self == .endToEnd || self == .headOnly }
}

/// The initialisation of a new layer.
package enum LayerInitialisation: String, Sendable, Codable, CaseIterable {
  /// Copies the layer that is one stage below: L_{s-1} with one layer per stage.
  case transfer
  /// Random initialisation.
  case random
}
