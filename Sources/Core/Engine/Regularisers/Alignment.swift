/// α (l(z1, g1) + l(z2, g2)): the alignment of representations with the global model, where l is InfoNCE and g are the
/// projections of the received global model (LW-FedSSL, arXiv 2401.11647v3, representation alignment).
package struct Alignment: RepresentationPenalty {
  package let name = "alignment"
  package let usesReference = true
  /// α and τ.
  let weight, temperature: Float

  package func makeStep(batch: Int, views: Int, width: Int, in layout: inout Layout)
    -> any RepresentationPenaltyStep
  {
    Step(
      alignment: self, batch: batch, views: views,
      infoNCE: InfoNCE(batch: batch, width: width, in: &layout))
  }

  private struct Step: RepresentationPenaltyStep {
    let alignment: Alignment
    let batch, views: Int
    let infoNCE: InfoNCE

    func loss(_ z: Matrix, reference: Matrix, adding dz: Matrix, _ work: borrowing Storage) -> Float {
      var loss: Float = 0
      for view in 0..<views {
        let rows = view * batch..<(view + 1) * batch
        loss += infoNCE.loss(
          z.rows(rows), reference.rows(rows), adding: dz.rows(rows), temperature: alignment.temperature,
          weight: alignment.weight, work)
      }
      return alignment.weight * loss
    }
  }
}
