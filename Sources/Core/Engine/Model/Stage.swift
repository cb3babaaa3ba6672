/// A stage of growth: which layers exist, and which of them are frozen, trained and exchanged.
///
/// What trains is one range of the parameter layout, and what travels is the same range.
package struct Stage: Sendable {
  /// Counted from 1.
  package let index: Int
  package let model: Model
  /// The blocks that train; those before them are frozen.
  package let trainedBlocks: Range<Int>

  /// Stage `index` of a strategy; end-to-end training has a single stage.
  package init(
    _ strategy: Strategy, index: Int, layersPerStage: Int = 1, _ configuration: EncoderConfiguration,
    heads: HeadConfiguration
  ) {
    let depth = strategy == .endToEnd ? configuration.depth : index * layersPerStage
    precondition(
      index >= 1 && depth <= configuration.depth, "stage \(index) of \(configuration.depth) blocks")
    self.index = index
    model = Model(configuration, heads: heads, depth: depth)
    trainedBlocks = strategy == .layerWise ? depth - layersPerStage..<depth : 0..<depth
  }

  private init(index: Int, model: Model, trainedBlocks: Range<Int>) {
    (self.index, self.model, self.trainedBlocks) = (index, model, trainedBlocks)
  }

  /// The same model with every layer training, as the server's calibration has it.
  package var trainingEverything: Stage { Stage(index: index, model: model, trainedBlocks: 0..<model.depth) }

  /// Whether the stem trains: it does with the first block.
  package var trainsStem: Bool { trainedBlocks.lowerBound == 0 }

  /// The parameters that train and travel: the trained blocks (with the stem before the first), the final
  /// normalisation and the heads.
  package var range: Range<Int> {
    guard !trainsStem, let first = model.part("blocks.\(trainedBlocks.lowerBound)") else {
      return model.layout.range
    }
    return first.range.lowerBound..<model.layout.count
  }

  /// The trained parameters that every image adds a gradient to by itself: stem and blocks.
  package var blockRange: Range<Int> { range.lowerBound..<headRange.lowerBound }

  /// The trained parameters whose gradient needs the whole batch: final normalisation and heads.
  package var headRange: Range<Int> {
    model.encoder.norm.weight.offset..<model.layout.count
  }

  /// The parts of the model that train and travel.
  package var parts: [Model.Part] { model.parts.filter { $0.range.lowerBound >= range.lowerBound } }
}
