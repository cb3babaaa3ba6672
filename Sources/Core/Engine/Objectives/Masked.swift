/// The masks and the decoder of masked autoencoding.
package struct MaskedConfiguration: Sendable, Hashable {
  /// The settings of plans.
  package struct Settings: Sendable, Hashable, Codable {
    /// The share of an image's patches that are hidden, above 0 and below 1. Default 0.75, as in the paper.
    package var ratio: Float
    /// The width of the decoder, a multiple of `heads`. Default 64.
    package var width: Int
    /// The number of the decoder's blocks, at least 1. Default 1: the stage's block is to do the work.
    package var blocks: Int
    /// The attention heads of the decoder. Default 4.
    package var heads: Int

    package init(ratio: Float = 0.75, width: Int = 64, blocks: Int = 1, heads: Int = 4) {
      (self.ratio, self.width, self.blocks, self.heads) = (ratio, width, blocks, heads)
    }
  }

  package var settings: Settings
  /// The number of patches P of an image, at least 2.
  package let patches: Int
  /// The number of values N of a patch.
  package let patchSize: Int

  /// Creates the configuration for the patches of a transformer.
  package init(_ settings: Settings = Settings(), for shape: ViTConfiguration) {
    precondition(shape.patches >= 2, "\(shape.patches) patches: one is hidden, and one shown")
    self.settings = settings
    (patches, patchSize) = (shape.patches, shape.patchSize)
  }

  package var width: Int { settings.width }
  package var blocks: Int { settings.blocks }
  /// The number of shown patches K: the share that is not hidden, rounded down, but neither none nor all.
  package var shown: Int {
    min(max(Int(Double(patches) * (1 - Double(settings.ratio)) + 1e-4), 1), patches - 1)
  }
  /// The number of hidden patches.
  package var hidden: Int { patches - shown }
  /// The shape of the decoder's blocks.
  var block: EncoderBlock.Shape {
    EncoderBlock.Shape(tokens: patches + 1, width: width, heads: settings.heads, hidden: 4 * width)
  }
}

/// Masked autoencoding (MAE, arXiv 2111.06377): the encoder computes the class token and the shown patches of one view,
/// and a decoder predicts the hidden patches. The loss is the mean squared error of the hidden patches' values, which
/// are normalised in each patch.
///
/// B images, K shown patches, D = width of the encoder. The pooled features of an image are the tokens [(K + 1)·D] of
/// the last block.
package struct MaskedObjective: Objective {
  package let views = 1
  package let needsLabels = false
  package let needsImages = true
  package let branches: [Branch] = []
  package let headShards = 4
  package let decoder: MaskedDecoder

  init(_ configuration: MaskedConfiguration, width: Int, in layout: inout Layout) {
    decoder = MaskedDecoder(configuration, width: width, in: &layout)
  }

  package var shownPatches: Int? { decoder.configuration.shown }

  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    decoder.distribution(of: entry)
  }

  package func operations(passes: Int) -> Int { passes * decoder.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    guard let transformer = encoder as? VisionTransformer, case .norm(let norm) = encoder.readout,
      transformer.shape.patches == decoder.configuration.patches
    else { preconditionFailure("masked patches of \(type(of: encoder))") }
    precondition(
      penalties.isEmpty && options.featurePenalties.isEmpty, "masked patches with \(penalties.map(\.name))")
    let chunk = min(options.chunk, options.batch)
    var shards: [Step.Shard] = []
    for _ in 0..<headShards {
      shards.append(Step.Shard(decoder, norm, transformer, images: chunk, in: &layout))
    }
    return Step(
      decoder: decoder, norm: norm, stem: transformer.stem, width: transformer.shape.width, chunk: chunk,
      shards: shards)
  }

  private struct Step: ObjectiveStep {
    let decoder: MaskedDecoder
    let norm: LayerNorm
    let stem: PatchEmbedding
    let width, chunk: Int
    let shards: [Shard]

    /// The work space of the images of a shard, a chunk at a time.
    struct Shard: Sendable {
      /// The encoder's normalised outputs, replaced by their gradients [n·(K + 1), D].
      let representations: Slot
      let norm: LayerNorm.TracePlan
      let decoder: MaskedDecoder.Plan
      let loss: DoubleSlot

      init(
        _ decoder: MaskedDecoder, _ norm: LayerNorm, _ encoder: VisionTransformer, images: Int,
        in layout: inout Layout
      ) {
        let (rows, width) = (images * (decoder.configuration.shown + 1), encoder.shape.width)
        representations = layout.add("representations", rows, width)
        self.norm = LayerNorm.TracePlan(rows: rows, width: width, in: &layout)
        self.decoder = MaskedDecoder.Plan(decoder.configuration, images: images, in: &layout)
        loss = layout.addDoubles("loss", 1, 1)
      }
    }

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let count = batch.pooled.rows
      // A shard sums its own images in order, whichever worker computes them.
      workers.run(shards.count) { shard, _ in
        work[shards[shard].loss][0, 0] = 0
        for first in stride(from: shard * chunk, to: count, by: shards.count * chunk) {
          decode(
            first..<min(first + chunk, count), shards[shard], batch, parameters,
            batch.headGradients[shard].storage, work)
        }
      }
      let total = shards.reduce(0.0) { $0 + work[$1.loss][0, 0] }
      return LossTerms("reconstruction", Float(total / Double(count * decoder.configuration.hidden)))
    }

    private func decode(
      _ images: Range<Int>, _ shard: Shard, _ batch: PooledBatch, _ parameters: borrowing Storage,
      _ gradients: borrowing Storage, _ work: borrowing Storage
    ) {
      guard let inputs = batch.inputs else { preconditionFailure("masked patches without images") }
      let rows = images.count * (decoder.configuration.shown + 1)
      let y = work[shard.representations].rows(0..<rows)
      let trace = shard.norm.trace(work, rows: 0..<rows)
      norm.forward(batch.pooled.rows(images).reshaped(rows, width), into: y, trace, parameters)
      let chunk = MaskedDecoder.Images(count: images.count) {
        batch.images.shown(images.lowerBound + $0)
      } cut: {
        stem.cut(inputs.row(images.lowerBound + $0), into: $1)
      }
      work[shard.loss][0, 0] += decoder.loss(
        y, of: chunk, scale: 1 / Float(batch.pooled.rows * decoder.configuration.hidden), shard.decoder,
        parameters, gradients, work)
      let d = batch.gradients.rows(images).reshaped(rows, width)
      Elementwise.fill(d, 0)
      norm.backward(y, trace, adding: d, parameters, gradients)
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { nil }
  }
}

extension ObjectiveKind {
  /// The values of hidden patches from the shown ones (arXiv 2111.06377), for vision transformers.
  package static let masked = ObjectiveKind("masked") { settings in
    ObjectiveConfiguration { width, layout in
      guard let masked = settings.masked else { preconditionFailure("masked patches of an unknown encoder") }
      return MaskedObjective(masked, width: width, in: &layout)
    }
  }
}
