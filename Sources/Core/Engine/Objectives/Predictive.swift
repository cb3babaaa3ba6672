/// BYOL's loss (arXiv 2006.07733, equation 2): 2 - 2 cos(q, k), averaged over the batch; the keys have no gradient.
///
/// B images, P = width of a projection.
package struct CosineDistance: Sendable {
  private let pairs: UnitPairs

  /// Adds the loss's work space for batches of `batch` images to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    pairs = UnitPairs(batch: batch, width: width, in: &layout)
  }

  /// Returns the loss and adds its gradient to dq.                             q, k, dq [B, P]
  package func loss(_ q: Matrix, _ k: Matrix, adding dq: Matrix, _ work: borrowing Storage) -> Float {
    let (uq, uk, du) = pairs.forward(q, k, work)
    var total: Double = 0
    let scale = -2 / Float(q.rows)
    for r in 0..<q.rows {
      total += 2 - 2 * Double(Elementwise.dot(uq.row(r), uk.row(r), count: q.columns))
      for c in 0..<q.columns { du[r, c] = scale * uk[r, c] }
    }
    pairs.backward(adding: dq, scale: 1, work)
    return Float(total / Double(q.rows))
  }
}

/// MoCo v3 and BYOL: compare the prediction from one view with the target branch's projection of the other.
package struct PredictiveObjective: ProjectionObjective {
  package let branches = [Branch.target]
  package let takesLocalViews = true
  package let projector, predictor: ProjectionHead
  private let comparison: Comparison

  /// The comparison of a prediction with the projection of the other view.
  package enum Comparison: Sendable {
    case infoNCE, cosine
  }

  init(_ comparison: Comparison, _ heads: HeadConfiguration, width: Int, in layout: inout Layout) {
    self.comparison = comparison
    projector = ProjectionHead.projector(heads, width: width, in: &layout)
    predictor = ProjectionHead.predictor(heads, in: &layout)
  }

  package var projectionHeads: [ProjectionHead] { [projector, predictor] }

  /// The predictor only belongs to the online branch.
  package func operations(passes: Int) -> Int { passes * projector.operations + 3 * predictor.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    let (batch, width) = (options.batch, projector.output)
    let projections = Projections(projector, encoder, options, in: &layout)
    var traces: [ProjectionHead.TracePlan] = []
    for _ in 0..<2 { traces.append(ProjectionHead.TracePlan(predictor, rows: batch, in: &layout)) }
    return Step(
      predictor: predictor, projections: projections, traces: traces,
      keys: layout.add("target projections", 2 * batch, width),
      gradients: layout.add("prediction gradients", 2 * batch, width),
      inputGradients: layout.add("prediction input gradients", 2 * batch, width),
      distance: comparison == .cosine
        ? .cosine(CosineDistance(batch: batch, width: width, in: &layout))
        : .infoNCE(InfoNCE(batch: batch, width: width, in: &layout), temperature: options.temperature),
      penalties: ProjectionPenalties(penalties, batch: batch, width: width, in: &layout),
      local: LocalProjections(projector, encoder, options, in: &layout))
  }

  private struct Step: ObjectiveStep {
    let predictor: ProjectionHead
    let projections: Projections
    /// The predictor's traces, one per view.
    let traces: [ProjectionHead.TracePlan]
    /// The target branch's projections k, and the gradients of predictions and of the predictor's inputs [2B, P].
    let keys, gradients, inputGradients: Slot
    let distance: Distance
    let penalties: ProjectionPenalties
    /// Local views, whose predictions are compared with the target branch's projections of both global views.
    let local: LocalProjections?

    enum Distance: Sendable {
      case infoNCE(InfoNCE, temperature: Float)
      case cosine(CosineDistance)
    }

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[projections.output], work[projections.gradients])
      penalties.prepare(projections, batch, work, workers)
      let target = batch.branch(.target)
      projections.forward(target.pooled, into: work[keys], target.parameters.storage, work, workers)
      projections.forward(batch.pooled, into: z, parameters, work, workers)
      Elementwise.fill(dz, 0)
      var terms = LossTerms("predictive", predict(batch, z, adding: dz, parameters, work, workers))
      if let local {
        terms.add(
          "local views",
          local.loss(batch, parameters, work, workers) { z, dz, _, gradients in
            predict(local: z, adding: dz, local.share, parameters, gradients, work)
          })
      }
      penalties.add(to: &terms, z, adding: dz, work)
      projections.backward(batch, adding: &terms, parameters, work, workers)
      return terms
    }

    /// Returns the share that local views leave of l(q1, k2) + l(q2, k1) with q = P(z); adds the gradient to dz.
    private func predict(
      _ batch: PooledBatch, _ z: Matrix, adding dz: Matrix, _ parameters: borrowing Storage,
      _ work: borrowing Storage, _ workers: Workers
    ) -> Float {
      let dq = work[gradients]
      workers.run(2) { view, _ in
        predictor.forward(z.rows(projections.rows(of: view)), traces[view].trace(work), parameters)
      }
      Elementwise.fill(dq, 0)
      var loss: Float = 0
      for view in 0..<2 {
        loss += compare(
          traces[view].trace(work).output, 1 - view, adding: dq.rows(projections.rows(of: view)), work)
      }
      if let local {
        loss *= local.share
        Elementwise.scale(dq, by: local.share)
      }
      workers.run(2) { view, _ in
        let rows = projections.rows(of: view)
        let input = work[inputGradients].rows(rows)
        predictor.backward(
          dq.rows(rows), input: z.rows(rows), into: input, traces[view].trace(work), parameters,
          batch.headGradients[view].storage)
        Elementwise.add(input, to: dz.rows(rows))
      }
      return loss
    }

    /// Returns l(q, k) with the target branch's projections of a global view, and adds the gradient to dq.
    private func compare(
      _ q: Matrix, _ view: Int, adding dq: Matrix, _ work: borrowing Storage
    ) -> Float {
      let k = work[keys].rows(projections.rows(of: view))
      return switch distance {
      case .infoNCE(let infoNCE, let temperature):
        infoNCE.loss(q, k, adding: dq, temperature: temperature, work)
      case .cosine(let cosine): cosine.loss(q, k, adding: dq, work)
      }
    }

    /// Returns `share` times l(q, k1) + l(q, k2) of a local view, and adds the gradient to dz. The predictor's memory is
    /// that of the first global view, which is not needed any more.
    private func predict(
      local z: Matrix, adding dz: Matrix, _ share: Float, _ parameters: borrowing Storage,
      _ gradients: StorageBox, _ work: borrowing Storage
    ) -> Float {
      let (trace, rows) = (traces[0].trace(work), projections.rows(of: 0))
      let (dq, input) = (work[self.gradients].rows(rows), work[inputGradients].rows(rows))
      predictor.forward(z, trace, parameters)
      Elementwise.fill(dq, 0)
      let loss = (0..<2).reduce(0) { $0 + compare(trace.output, $1, adding: dq, work) }
      Elementwise.scale(dq, by: share)
      predictor.backward(dq, input: z, into: input, trace, parameters, gradients.storage)
      Elementwise.add(input, to: dz)
      return share * loss
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { projections.monitors(work) }
  }
}

extension ObjectiveConfiguration {
  /// Predictions of one view compared with the target branch's projections of the other.
  package static func predictive(
    _ comparison: PredictiveObjective.Comparison, _ heads: HeadConfiguration
  ) -> Self {
    ObjectiveConfiguration { width, layout in
      PredictiveObjective(comparison, heads, width: width, in: &layout)
    }
  }
}

extension ObjectiveKind {
  /// InfoNCE between predictions and a target branch's projections (arXiv 2104.02057).
  package static let mocov3 = ObjectiveKind("mocov3") { .predictive(.infoNCE, $0.heads) }
  /// Cosine distance between predictions and a target branch's projections (arXiv 2006.07733).
  package static let byol = ObjectiveKind("byol") { .predictive(.cosine, $0.heads) }
}
