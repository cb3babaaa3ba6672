/// The weights of the terms of ``CrossCorrelation``.
package struct BarlowConfiguration: Sendable, Hashable, Codable {
  /// λ, the weight of the elements off the diagonal, at least 0. Default: that of the paper.
  package var offDiagonal: Float

  package init(offDiagonal: Float = 5e-3) { self.offDiagonal = offDiagonal }
}

/// The loss of Barlow Twins (arXiv 2103.03230, equation 1): the cross-correlation of the projections of two views is
/// to be the identity.
///
/// B images, P = width of a projection. With C = z1ᵀ·z2 / B [P, P], the loss is Σ (1 - C_ii)² + λ Σ C_ij² over i ≠ j,
/// summed in float64. A projector ends with a normalisation over the batch, so the elements of C are correlations.
package struct CrossCorrelation: Sendable {
  package let configuration: BarlowConfiguration
  /// C, which is replaced with its gradient.
  private let correlations: Slot

  /// Adds the loss's work space to a layout.
  package init(
    width: Int, _ configuration: BarlowConfiguration = BarlowConfiguration(), in layout: inout Layout
  ) {
    self.configuration = configuration
    correlations = layout.add("correlations", width, width)
  }

  /// Returns the loss and adds its gradient: dz1 += z2·dCᵀ / B, dz2 += z1·dC / B.
  ///
  /// `z` and `dz` are [2B, P]: rows 0 ..< B belong to the first view, B ..< 2B to the second.
  package func loss(_ z: Matrix, adding dz: Matrix, _ work: borrowing Storage) -> Float {
    let (batch, c) = (z.rows / 2, work[correlations])
    let (first, second, scale) = (0..<batch, batch..<2 * batch, 1 / Float(batch))
    let total = correlate(z.rows(first), z.rows(second), work)
    Products.product(z.rows(second), c.transposed, into: dz.rows(first), scale: scale, keep: 1)
    Products.product(z.rows(first), c, into: dz.rows(second), scale: scale, keep: 1)
    return Float(total)
  }

  /// Returns `weight` times the loss of a global and a local view, and adds its gradient of the latter.      all [B, P]
  package func loss(
    _ global: Matrix, local: Matrix, adding dz: Matrix, weight: Float, _ work: borrowing Storage
  ) -> Float {
    let total = correlate(global, local, work)
    Products.product(global, work[correlations], into: dz, scale: weight / Float(local.rows), keep: 1)
    return weight * Float(total)
  }

  /// Returns the loss of two views, and replaces C by its gradient.                                 one, other [B, P]
  private func correlate(_ one: Matrix, _ other: Matrix, _ work: borrowing Storage) -> Double {
    let c = work[correlations]
    precondition(c.rows == one.columns, "\(one.columns) columns for \(c.rows)")
    Products.product(one.transposed, other, into: c, scale: 1 / Float(one.rows))
    var total = 0.0
    for i in 0..<c.rows {
      for j in 0..<c.columns {
        let (factor, difference) = i == j ? (1, c[i, j] - 1) : (configuration.offDiagonal, c[i, j])
        total += Double(factor) * Double(difference) * Double(difference)
        c[i, j] = 2 * factor * difference
      }
    }
    return total
  }
}

/// Barlow Twins: two views have equal projections, whose elements are not correlated. It needs no negative pairs and no
/// target branch.
package struct BarlowObjective: ProjectionObjective {
  package let branches: [Branch] = []
  package let takesLocalViews = true
  package let projector: ProjectionHead
  package let configuration: BarlowConfiguration

  init(
    _ configuration: BarlowConfiguration, _ heads: HeadConfiguration, width: Int, in layout: inout Layout
  ) {
    self.configuration = configuration
    projector = ProjectionHead.projector(heads, width: width, in: &layout)
  }

  package var projectionHeads: [ProjectionHead] { [projector] }

  package func operations(passes: Int) -> Int { passes * projector.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    let (batch, width) = (options.batch, projector.output)
    return Step(
      projections: Projections(projector, encoder, options, in: &layout),
      loss: CrossCorrelation(width: width, configuration, in: &layout),
      penalties: ProjectionPenalties(penalties, batch: batch, width: width, in: &layout),
      local: LocalProjections(projector, encoder, options, in: &layout))
  }

  private struct Step: ObjectiveStep {
    let projections: Projections
    let loss: CrossCorrelation
    let penalties: ProjectionPenalties
    /// Local views, which are compared with both global views.
    let local: LocalProjections?

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[projections.output], work[projections.gradients])
      penalties.prepare(projections, batch, work, workers)
      projections.forward(batch.pooled, into: z, parameters, work, workers)
      Elementwise.fill(dz, 0)
      var terms = LossTerms("cross-correlation", loss.loss(z, adding: dz, work))
      if let local {
        terms.add(local, batch, sharing: dz, parameters, work, workers) { own, gradient, _, _, share in
          (0..<2).reduce(0) {
            $0
              + loss.loss(
                z.rows(projections.rows(of: $1)), local: own, adding: gradient, weight: share / 2, work)
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

extension ObjectiveKind {
  /// The cross-correlation of both views' projections (arXiv 2103.03230).
  package static let barlow = ObjectiveKind("barlow") { settings in
    ObjectiveConfiguration { width, layout in
      BarlowObjective(settings.barlow, settings.heads, width: width, in: &layout)
    }
  }
}
