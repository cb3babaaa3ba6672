/// Smaller views of parts of an image, in addition to the two that an objective compares (multi-crop, SwAV,
/// arXiv 2006.09882).
package struct LocalViews: Sendable, Hashable {
  /// The number N of local views of an image, at least 1.
  package var count: Int
  /// The side of a local view in pixels, less than that of an image and a multiple of a patch.
  package var size: Int

  package init(count: Int, size: Int) { (self.count, self.size) = (count, size) }
}

extension LossTerms {
  /// Gives a loss of global views the share that local views leave, with its gradient dz [2B, P], and adds that of the local
  /// views. `loss` has a local view's share as the last argument (``LocalProjections/loss(_:_:_:_:_:)``).
  mutating func add(
    _ local: LocalProjections, _ batch: PooledBatch, sharing dz: Matrix, _ parameters: borrowing Storage,
    _ work: borrowing Storage, _ workers: Workers,
    _ loss: (_ z: Matrix, _ dz: Matrix, _ view: Int, _ gradients: StorageBox, _ share: Float) -> Float
  ) {
    let share = local.share
    scale(by: share)
    Elementwise.scale(dz, by: share)
    add("local views", local.loss(batch, parameters, work, workers) { loss($0, $1, $2, $3, share) })
  }
}

/// The projections of a batch's local views.
///
/// B images, N local views of each, P = width of a projection; row v·B + i is local view v of image i.
package struct LocalProjections: Sendable {
  private let projections: Projections
  private let views: Int

  /// Adds the memory of the options' local views to a layout; nil if there are none. Regularisers do not act on them.
  package init?(
    _ projector: ProjectionHead, _ encoder: any Encoder, _ options: TrainingOptions, in layout: inout Layout
  ) {
    guard let local = options.localViews else { return nil }
    var options = options
    options.regularisers = []
    views = local.count
    projections = Projections(projector, encoder, options, views: views, in: &layout)
  }

  /// The share of each of the N + 1 comparisons in the loss: that of the global views with each other, and those of each
  /// local view with both.
  package var share: Float { 1 / Float(views + 1) }

  /// Returns the sum of the losses of all local views, and computes the gradients of their pooled features.
  ///
  /// `loss(z, dz, view, gradients)` returns the loss of a local view's projections [B, P], adds its gradient to dz, and
  /// that of heads behind the projector to the view's gradients.
  package func loss(
    _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers,
    _ loss: (_ z: Matrix, _ dz: Matrix, _ view: Int, _ gradients: StorageBox) -> Float
  ) -> Float {
    guard let local = batch.local.first else { preconditionFailure("a batch without local views") }
    let (z, dz) = (work[projections.output], work[projections.gradients])
    projections.forward(local.pooled, into: z, parameters, work, workers)
    Elementwise.fill(dz, 0)
    var total: Float = 0
    for view in 0..<views {
      let rows = projections.rows(of: view)
      total += loss(z.rows(rows), dz.rows(rows), view, local.headGradients[view])
    }
    var none = LossTerms()
    projections.backward(local, adding: &none, parameters, work, workers)
    return total
  }
}
