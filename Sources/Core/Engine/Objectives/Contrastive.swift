/// SimCLR's loss (arXiv 2002.05709, equation 1): NT-Xent over the 2B projections of two views.
///
/// B images, P = width of a projection. The cross-entropy of the cosine similarities divided by the temperature,
/// without the similarity of a projection with itself and with the other view as the positive; the mean over all 2B.
package struct NTXent: Sendable {
  private let unit, gradient, lengths, similarities: Slot

  /// Adds the loss's work space for batches of `batch` images to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    unit = layout.add("unit projections", 2 * batch, width)
    gradient = layout.add("unit gradients", 2 * batch, width)
    lengths = layout.add("lengths", 2 * batch)
    similarities = layout.add("similarities", 2 * batch, 2 * batch)
  }

  /// Returns the loss and adds its gradient.
  ///
  /// `z` and `dz` are [2B, P]: rows 0 ..< B belong to the first view, B ..< 2B to the second.
  package func loss(
    _ z: Matrix, adding dz: Matrix, temperature: Float, _ work: borrowing Storage
  ) -> Float {
    let (u, du, s) = (work[unit], work[gradient], work[similarities])
    let batch = z.rows / 2
    precondition(u.rows == z.rows && u.columns == z.columns, "\(z.rows) x \(z.columns) projections")
    UnitRows.forward(z, into: u, lengths: work[lengths])
    Products.product(u, u.transposed, into: s, scale: 1 / temperature)
    var total: Double = 0
    for r in 0..<z.rows {
      let positive = (r + batch) % z.rows
      let row = s.row(r)
      let similarity = row[positive]
      row[r] = -.infinity
      total += Double(Softmax.row(row, count: z.rows) - similarity)
      // The row becomes the gradient of its similarities; the mask leaves e^-87 on the diagonal.
      row[r] = 0
      row[positive] -= 1
    }
    // A similarity appears in two rows: du = (G + Gᵀ)·u / (2B τ).
    let scale = 1 / (Float(z.rows) * temperature)
    Products.product(s, u, into: du, scale: scale)
    Products.product(s.transposed, u, into: du, scale: scale, keep: 1)
    UnitRows.backward(du, output: u, lengths: work[lengths], adding: dz, scale: 1)
    return Float(total / Double(z.rows))
  }
}

/// SimCLR: compares every projection with all others of the batch.
package struct ContrastiveObjective: ProjectionObjective {
  package let branches: [Branch] = []
  package let takesLocalViews = true
  package let projector: ProjectionHead

  init(_ heads: HeadConfiguration, width: Int, in layout: inout Layout) {
    projector = ProjectionHead.projector(heads, width: width, in: &layout)
  }

  package var projectionHeads: [ProjectionHead] { [projector] }

  package func operations(passes: Int) -> Int { passes * projector.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    let batch = options.batch
    return Step(
      projections: Projections(projector, encoder, options, in: &layout),
      loss: NTXent(batch: batch, width: projector.output, in: &layout),
      penalties: ProjectionPenalties(penalties, batch: batch, width: projector.output, in: &layout),
      temperature: options.temperature,
      local: LocalProjections(projector, encoder, options, in: &layout).map {
        ($0, InfoNCE(batch: batch, width: projector.output, in: &layout))
      })
  }

  private struct Step: ObjectiveStep {
    let projections: Projections
    let loss: NTXent
    let penalties: ProjectionPenalties
    let temperature: Float
    /// Local views, each of which is compared with both global views of its batch's images.
    let local: (projections: LocalProjections, loss: InfoNCE)?

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[projections.output], work[projections.gradients])
      penalties.prepare(projections, batch, work, workers)
      projections.forward(batch.pooled, into: z, parameters, work, workers)
      Elementwise.fill(dz, 0)
      var terms = LossTerms("contrastive", loss.loss(z, adding: dz, temperature: temperature, work))
      if let local {
        terms.add(
          local.projections, batch, sharing: dz, parameters, work, workers
        ) { q, dq, _, _, share in
          (0..<2).reduce(0) {
            let keys = z.rows(projections.rows(of: $1))
            let weight = share / 2
            return $0 + weight
              * local.loss.loss(q, keys, adding: dq, temperature: temperature, weight: weight, work)
          }
        }
      }
      penalties.add(to: &terms, z, adding: dz, work)
      projections.backward(batch, adding: &terms, parameters, work, workers)
      return terms
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { projections.monitors(work) }
  }
}

extension ObjectiveConfiguration {
  /// NT-Xent over both views' projections.
  package static func contrastive(_ heads: HeadConfiguration) -> Self {
    ObjectiveConfiguration { width, layout in ContrastiveObjective(heads, width: width, in: &layout) }
  }
}

extension ObjectiveKind {
  /// NT-Xent over both views' projections (arXiv 2002.05709).
  package static let simclr = ObjectiveKind("simclr") { .contrastive($0.heads) }
}
