import Engine
import Federation

/// The costs of a plan for one client by the conventions of LW-FedSSL's tables (arXiv 2401.11647). They serve to
/// compare with the paper; ``PlannedFigures`` has what this software sends and computes.
package struct PaperFigures: Sendable, Hashable, Codable {
  /// The download and upload of a client over all rounds, in the paper's GB: MiB / 1000 of float32.
  ///
  /// A client downloads and uploads the trained layers, with both heads; after a calibration it also downloads the
  /// frozen layers.
  package let traffic: Double
  /// The operations (``PaperOperations``) of one image over all local epochs, in 10^9: one view through the online
  /// branch, frozen layers forward, trained layers forward and backward, where backward counts twice.
  package let gigaflops: Double

  package init(_ plan: Plan) {
    var (floats, operations) = (0.0, 0.0)
    for index in 1...plan.stages {
      let stage = plan.exampleStage(index)
      let rounds = Double(plan.mostRounds(stage: index))
      let stemRounds = stage.trainsStem ? rounds / Self.stemShare(plan) : 0
      let calibrated = Double(plan.roundKeys(stage: index).count { plan.isCalibrated(before: $0) })
      let sizes = Sizes(stage)
      floats += 2 * rounds * sizes.trained + 2 * stemRounds * sizes.stem + calibrated * sizes.frozen
      let (frozen, trained, stem) = Self.operations(stage)
      let epochs = Double(plan.local.epochs)
      operations += epochs * (rounds * (frozen + stem + 3 * trained) + 2 * stemRounds * stem)
    }
    traffic = floats * 4 / 1_048_576 / 1000
    gigaflops = operations / 1e9
  }

  /// The divisor of the rounds in which the stem is trained and exchanged. In layer-wise training these are the rounds
  /// of a first stage of one layer. With several layers per stage the stem trains in all rounds of the first stage, but
  /// only this rule gives the paper's 3.49 and 4.71 for four and six layers (otherwise 3.50 and 4.72).
  private static func stemShare(_ plan: Plan) -> Double {
    plan.method.strategy == .layerWise ? Double(plan.method.layersPerStage) : 1
  }

  /// The numbers of floats in the stem, in the other trained layers, and in the frozen layers.
  private struct Sizes {
    let stem, trained, frozen: Double

    init(_ stage: Stage) {
      let stem = stage.model.parts.prefix(stage.model.stemParts).reduce(0) { $0 + $1.range.count }
      self.stem = Double(stem)
      trained = Double(stage.count - (stage.trainsStem ? stem : 0))
      frozen = Double(stage.model.layout.count - stage.count)
    }
  }

  /// Returns the forward operations of one image: frozen blocks, trained layers without the stem, and the stem.
  private static func operations(_ stage: Stage) -> (frozen: Double, trained: Double, stem: Double) {
    let operations = PaperOperations(stage.model)
    let frozen = operations.blocks[..<stage.prefixDepth].reduce(0, +)
    let trained = stage.trainedBlocks.reduce(0) { $0 + operations.blocks[$1] }
    return (
      Double(frozen), Double(trained + operations.readout + operations.heads), Double(operations.stem)
    )
  }
}

/// The forward operations of one image as counted in LW-FedSSL's tables (arXiv 2401.11647).
///
/// The paper does not state how it counts. These rules are inferred from thirteen figures of its tables, which they
/// reproduce without a fitted constant. They are those of fvcore's FlopCountAnalysis: one operation per
/// multiply-accumulate of a product, including attention's, 5 per element of a normalisation (4 without weights), none
/// for biases, activations, softmax and sums. Only patch tokens count: with a class token the figures differ. A block
/// of ViT-Tiny takes 30,007,296 operations.
package struct PaperOperations: Sendable, Hashable {
  package let stem: Int
  /// The operations of each block, from the lowest.
  package let blocks: [Int]
  package let readout: Int
  /// The operations of projector and predictor.
  package let heads: Int

  package init(_ model: Model) {
    if let resnet = model.encoder as? ResNet {
      stem = Self.unit(resnet.stem)
      blocks = resnet.layers.map { $0.flatMap(\.units).reduce(0) { $0 + Self.unit($1) } }
      readout = resnet.operations.readout / 2
    } else if let transformer = model.encoder as? VisionTransformer {
      let c = transformer.shape
      stem = c.patches * c.patchSize * c.width
      blocks = model.encoder.blocks.map { _ in Self.block(c) }
      readout = 5 * c.width
    } else {
      // The paper has no other encoder; its rule for products is the same.
      let operations = model.encoder.operations
      (stem, blocks, readout) = (
        operations.stem / 2, operations.blocks.map { $0 / 2 }, operations.readout / 2
      )
    }
    let objective = model.objective as? any ProjectionObjective
    heads = objective?.projectionHeads.reduce(0) { $0 + Self.head($1) } ?? 0
  }

  /// Counts queries, keys, values and projection, the MLP, scores and context, and two normalisations.
  private static func block(_ c: ViTConfiguration) -> Int {
    let (tokens, width) = (c.patches, c.width)
    return tokens * width * (4 * width + 2 * c.hidden) + 2 * tokens * tokens * width + 2 * 5 * tokens * width
  }

  private static func unit(_ unit: BasicBlock.Unit) -> Int {
    unit.convolution.operations / 2 + 5 * unit.convolution.outputSize
  }

  private static func head(_ head: ProjectionHead) -> Int {
    let widths = head.widths
    let products = zip(widths, widths.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 }
    return products + 5 * widths.dropFirst().dropLast().reduce(0, +) + 4 * head.output
  }
}
