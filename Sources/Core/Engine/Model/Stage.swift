/// A stage of growth: which layers exist, and which of them are frozen, trained and exchanged.
///
/// What trains is one range of the parameter layout, and what travels is the same range.
package struct Stage: Sendable {
  /// Counted from 1.
  package let index: Int
  package let model: Model
  /// Positions among the model's blocks of those that train; those before them are frozen.
  package let trainedBlocks: Range<Int>
  /// Whether the stem trains: it does with the finished encoder's first block.
  package let trainsStem: Bool

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
    self.index = index
    model = Model(configuration, objective: objective, blocks: blocks)
    let isLayerWise = strategy == .layerWise
    trainedBlocks = isLayerWise ? blocks.count - layersPerStage..<blocks.count : 0..<blocks.count
    trainsStem = !isLayerWise || index == 1
  }

  private init(index: Int, model: Model, trainedBlocks: Range<Int>) {
    (self.index, self.model, self.trainedBlocks) = (index, model, trainedBlocks)
    trainsStem = true
  }

  /// The same model with every layer training, as the server's calibration has it.
  package var trainingEverything: Stage { Stage(index: index, model: model, trainedBlocks: 0..<model.depth) }

  /// The parameters that train and travel: the trained blocks (with the stem before the first), the readout
  /// and the heads.
  package var range: Range<Int> {
    trainsStem
      ? model.layout.range : model.blockPart(trainedBlocks.lowerBound).range.lowerBound..<model.layout.count
  }

  /// The trained parameters that every image adds a gradient to by itself: stem and blocks.
  package var blockRange: Range<Int> { range.lowerBound..<headRange.lowerBound }

  /// The trained parameters whose gradient needs the whole batch: readout and heads.
  package var headRange: Range<Int> { model.headStart..<model.layout.count }

  /// What the optimiser moves: the range without what no gradient moves.
  package var optimised: [Range<Int>] { model.layout.optimised(range) }

  /// The parts of the model that train and travel.
  package var parts: [Model.Part] { model.parts.filter { $0.range.lowerBound >= range.lowerBound } }
}
