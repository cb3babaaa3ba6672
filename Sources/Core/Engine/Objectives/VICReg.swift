/// The weights of the terms of ``VICRegLoss``.
package struct VICRegConfiguration: Sendable, Hashable, Codable {
  /// λ, μ and ν, at least 0. Defaults: those of the paper.
  package var similarity, variance, covariance: Float

  package init(similarity: Float = 25, variance: Float = 25, covariance: Float = 1) {
    (self.similarity, self.variance, self.covariance) = (similarity, variance, covariance)
  }
}

/// The loss of VICReg (arXiv 2105.04906, equation 6, with the means of the authors' code, to which the weights belong):
///
///     λ mse(z1, z2) + μ [v(z1) + v(z2)] / 2 + ν [c(z1) + c(z2)]
///
/// mse is the mean over all B·P values. With C = Zcᵀ·Zc / (B - 1) of the centred columns Zc of z, v(z) is the mean over
/// the columns of max(0, 1 - √(C_ii + 1e-4)) and c(z) is Σ C_ij² / P over i ≠ j. B images, P = width of a projection.
/// Sums over the batch and over C are in float64.
package struct VICRegLoss: Sendable {
  package let configuration: VICRegConfiguration
  /// Zc [B, P] and C [P, P] of one view.
  private let centred, covariances: Slot
  /// The sums of the columns, and the factors of their gradients [1, P].
  private let sums: DoubleSlot

  private static let epsilon = 1e-4

  /// The weighted terms.
  package struct Terms: Sendable, Hashable {
    package let similarity, variance, covariance: Double

    package var total: Double { similarity + variance + covariance }
  }

  /// Adds the loss's work space for batches of `batch` images, at least 2, to a layout.
  package init(
    batch: Int, width: Int, _ configuration: VICRegConfiguration = VICRegConfiguration(),
    in layout: inout Layout
  ) {
    self.configuration = configuration
    centred = layout.add("centred projections", batch, width)
    covariances = layout.add("covariances", width, width)
    sums = layout.addDoubles("column sums", 1, width)
  }

  /// Returns the terms and adds their gradient.
  ///
  /// `z` and `dz` are [2B, P]: rows 0 ..< B belong to the first view, B ..< 2B to the second.
  package func loss(_ z: Matrix, adding dz: Matrix, _ work: borrowing Storage) -> Terms {
    let batch = z.rows / 2
    precondition(
      batch == work[centred].rows && z.columns == work[centred].columns && batch >= 2,
      "\(z.rows) x \(z.columns) projections")
    let similarity = similarity(z, adding: dz)
    var (variance, covariance) = (0.0, 0.0)
    for rows in [0..<batch, batch..<2 * batch] {
      let spread = spread(z.rows(rows), adding: dz.rows(rows), work)
      variance += spread.variance
      covariance += spread.covariance
    }
    return Terms(similarity: similarity, variance: variance, covariance: covariance)
  }

  /// Returns `share` times λ [mse(z, z1) + mse(z, z2)] / 2 + μ v(z) / 2 + ν c(z) of a local view, and adds its gradient to
  /// dz; the global views have none of it.                                        z, dz [B, P], global [2B, P]
  package func loss(
    local z: Matrix, _ global: Matrix, adding dz: Matrix, share: Float, _ work: borrowing Storage
  ) -> Float {
    Elementwise.fill(dz, 0)
    let spread = spread(z, adding: dz, work)
    let scale = configuration.similarity / Float(z.count)
    var total = 0.0
    for r in 0..<z.rows {
      for c in 0..<z.columns {
        let (first, second) = (z[r, c] - global[r, c], z[r, c] - global[z.rows + r, c])
        total += (Double(first) * Double(first) + Double(second) * Double(second)) / 2
        dz[r, c] += scale * (first + second)
      }
    }
    Elementwise.scale(dz, by: share)
    return share * Float(Double(scale) * total + spread.variance + spread.covariance)
  }

  /// Returns λ mse(z1, z2).
  private func similarity(_ z: Matrix, adding dz: Matrix) -> Double {
    let (batch, weight) = (z.rows / 2, configuration.similarity)
    let (values, scale) = (batch * z.columns, 2 * weight / Float(batch * z.columns))
    var total = 0.0
    for r in 0..<batch {
      for c in 0..<z.columns {
        let difference = z[r, c] - z[batch + r, c]
        total += Double(difference) * Double(difference)
        dz[r, c] += scale * difference
        dz[batch + r, c] -= scale * difference
      }
    }
    return Double(weight) * total / Double(values)
  }

  /// Returns μ v(z) / 2 and ν c(z) of a view.                                                         z, dz [B, P]
  private func spread(
    _ z: Matrix, adding dz: Matrix, _ work: borrowing Storage
  ) -> (variance: Double, covariance: Double) {
    let (x, c, sums) = (work[centred], work[covariances], work[sums])
    let (degrees, width) = (Double(z.rows - 1), z.columns)
    for column in 0..<width { sums[0, column] = 0 }
    for r in 0..<z.rows { for column in 0..<width { sums[0, column] += Double(z[r, column]) } }
    for r in 0..<z.rows {
      for column in 0..<width {
        x[r, column] = Float(Double(z[r, column]) - sums[0, column] / Double(z.rows))
      }
    }
    let variance = variance(x, degrees, sums)
    Products.product(x.transposed, x, into: c, scale: Float(1 / degrees))
    var squares = 0.0
    for i in 0..<width {
      c[i, i] = 0
      for j in 0..<width { squares += Double(c[i, j]) * Double(c[i, j]) }
    }
    // The columns of the gradients of centred values add to 0, so they are those of z. C is symmetric.
    let weight = Double(configuration.covariance) / Double(width)
    Products.product(x, c, into: dz, scale: Float(4 * weight / degrees), keep: 1)
    for r in 0..<z.rows { for column in 0..<width { dz[r, column] += x[r, column] * Float(sums[0, column]) } }
    return (variance, weight * squares)
  }

  /// Returns μ v / 2 of centred values [B, P], and replaces the sums by the factors with which they are its gradient.
  private func variance(_ x: Matrix, _ degrees: Double, _ sums: DoubleMatrix) -> Double {
    for column in 0..<x.columns { sums[0, column] = 0 }
    for r in 0..<x.rows {
      for column in 0..<x.columns { sums[0, column] += Double(x[r, column]) * Double(x[r, column]) }
    }
    let weight = Double(configuration.variance) / Double(2 * x.columns)
    var total = 0.0
    for column in 0..<x.columns {
      let deviation = (sums[0, column] / degrees + Self.epsilon).squareRoot()
      total += max(0, 1 - deviation)
      sums[0, column] = deviation < 1 ? -weight / (degrees * deviation) : 0
    }
    return weight * total
  }
}

/// VICReg: two views have equal projections, whose elements vary and are not correlated. It needs no negative pairs and
/// no target branch. The projector's output is not normalised, because the loss keeps its variance.
package struct VICRegObjective: ProjectionObjective {
  package let branches: [Branch] = []
  package let takesLocalViews = true
  package let projector: ProjectionHead
  package let configuration: VICRegConfiguration

  init(
    _ configuration: VICRegConfiguration, _ heads: HeadConfiguration, width: Int, in layout: inout Layout
  ) {
    self.configuration = configuration
    projector = ProjectionHead.projector(heads, width: width, normalisesOutput: false, in: &layout)
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
      loss: VICRegLoss(batch: batch, width: width, configuration, in: &layout),
      penalties: ProjectionPenalties(penalties, batch: batch, width: width, in: &layout),
      local: LocalProjections(projector, encoder, options, in: &layout))
  }

  private struct Step: ObjectiveStep {
    let projections: Projections
    let loss: VICRegLoss
    let penalties: ProjectionPenalties
    /// Local views, which are to be similar to both global views.
    let local: LocalProjections?

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[projections.output], work[projections.gradients])
      penalties.prepare(projections, batch, work, workers)
      projections.forward(batch.pooled, into: z, parameters, work, workers)
      Elementwise.fill(dz, 0)
      let values = loss.loss(z, adding: dz, work)
      var terms = LossTerms("similarity", Float(values.similarity))
      terms.add("variance", Float(values.variance))
      terms.add("covariance", Float(values.covariance))
      if let local {
        terms.add(local, batch, sharing: dz, parameters, work, workers) { own, gradient, _, _, share in
          loss.loss(local: own, z, adding: gradient, share: share, work)
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
  /// Equal projections of both views, whose elements vary and are not correlated (arXiv 2105.04906).
  package static let vicreg = ObjectiveKind("vicreg") { settings in
    ObjectiveConfiguration { width, layout in
      VICRegObjective(settings.vicreg, settings.heads, width: width, in: &layout)
    }
  }
}
