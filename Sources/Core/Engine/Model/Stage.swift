/// A stage of growth: which blocks exist, and which parts are trained and exchanged. The others are frozen.
package struct Stage: Sendable {
  /// Which parts train, in which lap through the layers.
  package struct Content: Sendable, Hashable, Codable {
    /// The finished encoder's blocks that exist, rising.
    package var blocks: [Int]
    /// Names of the parts that train, of ``Model/parts``; readout and heads always do.
    package var trained: Set<String>
    /// How often the layers have been gone through before, and once more: 1 at first.
    package var lap: Int

    package init(blocks: [Int], trained: Set<String>, lap: Int = 1) {
      (self.blocks, self.trained, self.lap) = (blocks, trained, lap)
    }

    /// Some of the blocks train, and the stem if it is said so.
    package init(blocks: [Int], training: some Sequence<Int>, stem: Bool, lap: Int = 1) {
      self.init(blocks: blocks, trained: Set(training.map(Self.part) + (stem ? ["stem"] : [])), lap: lap)
    }

    /// The part of a block.
    static func part(_ block: Int) -> String { "blocks.\(block)" }
  }

  /// Counted from 1.
  package let index: Int
  package let content: Content
  package let model: Model
  /// The parts that train and travel, in layout order.
  package let parts: [Model.Part]
  /// What they cover of the parameter layout.
  package let ranges: [Range<Int>]

  /// A stage of this content.
  package init(
    index: Int, _ content: Content, _ configuration: EncoderConfiguration, objective: ObjectiveConfiguration
  ) {
    self.init(
      index: index, content, Model(configuration, objective: objective, blocks: content.blocks))
  }

  private init(index: Int, _ content: Content, _ model: Model) {
    precondition(index >= 1, "stage \(index)")
    (self.index, self.content, self.model) = (index, content, model)
    let parts = model.parts.filter {
      content.trained.contains($0.name) || $0.range.lowerBound >= model.headStart
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

  /// Stage `index` of a strategy; end-to-end training has a single stage.
  ///
  /// With depth dropout `keeping` says which of the stage's blocks are there, by their indices.
  package init(
    _ strategy: Strategy, index: Int, layersPerStage: Int = 1, _ configuration: EncoderConfiguration,
    objective: ObjectiveConfiguration, keeping kept: [Int]? = nil
  ) {
    let depth = strategy == .endToEnd ? configuration.depth : index * layersPerStage
    precondition(
      index >= 1 && depth <= configuration.depth, "stage \(index) of \(configuration.depth) blocks")
    let blocks = kept ?? Array(0..<depth)
    let isLayerWise = strategy == .layerWise
    self.init(
      index: index,
      Content(
        blocks: blocks, training: isLayerWise ? blocks.suffix(layersPerStage) : blocks[...],
        stem: !isLayerWise || index == 1), configuration, objective: objective)
  }

  /// The same model with every layer training, as the server's calibration has it.
  package var trainingEverything: Stage {
    Stage(
      index: index, Content(blocks: content.blocks, training: content.blocks, stem: true, lap: content.lap),
      model)
  }

  // MARK: - What trains

  package var trainsStem: Bool { content.trained.contains("stem") }

  /// Positions among the model's blocks of those that train.
  package var trainedBlocks: [Int] {
    content.blocks.indices.filter { content.trained.contains(Content.part(content.blocks[$0])) }
  }

  /// Blocks below all that trains, whose outputs do not change during the stage; where only readout and heads train, all
  /// but the last.
  package var prefixDepth: Int { trainsStem ? 0 : trainedBlocks.first ?? model.depth - 1 }

  /// The parts of stem and prefix, where there is one; they come first in the layout.
  package var prefixParts: ArraySlice<Model.Part> { model.parts.prefix(trainsStem ? 0 : 1 + prefixDepth) }

  /// How many numbers train and travel.
  package var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// The trained parameters that every image adds a gradient to by itself: stem and blocks.
  package var blockRanges: [Range<Int>] {
    ranges.map { $0.clamped(to: 0..<model.headStart) }.filter { !$0.isEmpty }
  }

  /// The trained parameters whose gradient needs the whole batch: readout and heads.
  package var headRange: Range<Int> { model.headStart..<model.layout.count }

  /// What the optimiser moves: what trains, without what no gradient moves.
  package var optimised: [Range<Int>] { ranges.flatMap { model.layout.optimised($0) } }

  /// The slots of what trains, in layout order.
  package var entries: [Layout.Entry] {
    model.layout.entries.filter { entry in ranges.contains { $0.contains(entry.slot.offset) } }
  }

  /// The numbers of what trains, one part after the other, as an update has them.
  package func trainedValues(of parameters: borrowing Storage) -> [Float] {
    // Without a copy on the way: coding an update takes memory, too.
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

/// Which layers exist, train and travel at a stage (docs/method.md).
package enum Strategy: String, Sendable, Codable, CaseIterable {
  /// LW-FedSSL: L_1 … L_s exist, L_s trains.
  case layerWise = "layer-wise"
  /// Prog-FedSSL: L_1 … L_s exist and train.
  case progressive
  /// FedSSL: everything exists and trains, in a single stage.
  case endToEnd = "end-to-end"
}

/// How a new layer starts.
package enum LayerInitialisation: String, Sendable, Codable, CaseIterable {
  /// As a copy of the layer that far below as a stage is deep: L_{s-1} with one layer a stage.
  case transfer
  /// At random.
  case random
}
