import Engine
import Foundation

/// Alignment and uniformity (arXiv 2005.10242, section 4): the unit projections u of two views of an image are close,
/// and those of all images are spread over the sphere.
///
/// B images, P = width of a projection. The loss is the mean of |u1_i - u2_i|² over the images i, plus the mean over both
/// views of log mean e^(-2 |u_i - u_j|²) over the pairs i ≠ j.
package struct AlignmentUniformity: Sendable {
  private let unit, gradient, lengths, similarities: Slot

  /// Adds the loss's work space for batches of `batch` images, at least 2, to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    unit = layout.add("unit projections", 2 * batch, width)
    gradient = layout.add("unit gradients", 2 * batch, width)
    lengths = layout.add("lengths", 2 * batch)
    similarities = layout.add("similarities", batch, batch)
  }

  /// Returns the loss and adds its gradient.
  ///
  /// `z` and `dz` are [2B, P]: rows 0 ..< B belong to the first view, B ..< 2B to the second.
  package func loss(_ z: Matrix, adding dz: Matrix, _ work: borrowing Storage) -> Float {
    let (u, du, batch) = (work[unit], work[gradient], z.rows / 2)
    precondition(u.rows == z.rows && u.columns == z.columns, "\(z.rows) x \(z.columns) projections")
    UnitRows.forward(z, into: u, lengths: work[lengths])
    var total: Double = 0
    for r in 0..<batch {
      for c in 0..<u.columns {
        let difference = u[r, c] - u[batch + r, c]
        total += Double(difference * difference) / Double(batch)
        du[r, c] = 2 * difference / Float(batch)
        du[batch + r, c] = -2 * difference / Float(batch)
      }
    }
    for rows in [0..<batch, batch..<2 * batch] {
      total += uniformity(u.rows(rows), adding: du.rows(rows), work) / 2
    }
    UnitRows.backward(du, output: u, lengths: work[lengths], adding: dz, scale: 1)
    return Float(total)
  }

  /// Returns the logarithm of a view, and adds half of its gradient.                              u, du [B, P]
  private func uniformity(_ u: Matrix, adding du: Matrix, _ work: borrowing Storage) -> Double {
    let s = work[similarities]
    // Between unit vectors, the squared distance is 2 - 2 cos.
    Products.product(u, u.transposed, into: s, scale: 4)
    var sum: Double = 0
    for i in 0..<s.rows {
      for j in 0..<s.columns {
        s[i, j] = i == j ? 0 : exp(s[i, j] - 4)
        sum += Double(s[i, j])
      }
    }
    // The gradient of the logarithm is 8 S·u / Σ S for symmetric S.
    Products.product(s, u, into: du, scale: Float(4 / sum), keep: 1)
    return log(sum / Double(s.rows * (s.rows - 1)))
  }
}

/// Alignment and uniformity as an objective. It needs neither negative pairs nor a target branch.
package struct UniformityObjective: ProjectionObjective {
  package let branches: [Branch] = []
  private let projector: ProjectionHead

  init(_ heads: HeadConfiguration, width: Int, in layout: inout Layout) {
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
      loss: AlignmentUniformity(batch: batch, width: width, in: &layout),
      penalties: ProjectionPenalties(penalties, batch: batch, width: width, in: &layout))
  }

  private struct Step: ObjectiveStep {
    let projections: Projections
    let loss: AlignmentUniformity
    let penalties: ProjectionPenalties

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (z, dz) = (work[projections.output], work[projections.gradients])
      penalties.prepare(projections, batch, work, workers)
      projections.forward(batch.pooled, into: z, parameters, work, workers)
      Elementwise.fill(dz, 0)
      var terms = LossTerms("alignment and uniformity", loss.loss(z, adding: dz, work))
      penalties.add(to: &terms, z, adding: dz, work)
      projections.backward(batch, adding: &terms, parameters, work, workers)
      return terms
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { projections.monitors(work) }
  }
}

extension ObjectiveKind {
  /// Alignment and uniformity of both views' projections.
  package static let uniformity = ObjectiveKind("uniformity") { settings in
    ObjectiveConfiguration { width, layout in
      UniformityObjective(settings.heads, width: width, in: &layout)
    }
  }
}
