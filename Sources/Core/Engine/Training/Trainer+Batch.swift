/// The whole batch, behind the class tokens: heads and losses.
extension Trainer {
  /// Heads and losses, and back to the gradients of the class tokens. Each view is a worker's, since batch
  /// statistics are of one view at a time.
  func compare() -> Float {
    let plan = batchPlan
    if let branch = plan.reference {
      workers.run(2) { view, _ in project(branch.tokens, view, into: branch.projections, reference) }
    }
    workers.run(2) { view, _ in project(plan.tokens, view, into: plan.projections, parameters) }
    let (z, dz) = (batch[plan.projections], batch[plan.projectionGradients])
    Elementwise.fill(dz, 0)
    var loss = plan.contrast.loss(z, adding: dz, temperature: options.temperature, batch)
    if let branch = plan.reference {
      let g = batch[branch.projections]
      for view in 0..<2 {
        let rows = rows(of: view)
        loss +=
          options.alignment
          * branch.alignment.loss(
            z.rows(rows), g.rows(rows), adding: dz.rows(rows), temperature: options.temperature,
            weight: options.alignment, batch)
      }
    }
    workers.run(2) { view, _ in
      if view == 0 {
        backproject(view, lanes[0].storage)
      } else {
        backproject(view, secondView)
      }
    }
    Elementwise.add(secondView.all, to: lanes[0].storage[stage.headRange])
    return loss
  }

  private func rows(of view: Int) -> Range<Int> { view * options.batch..<(view + 1) * options.batch }

  /// z = H(norm(class tokens)) of one view.
  private func project(_ tokens: Slot, _ view: Int, into projections: Slot, _ weights: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let representations = batch[batchPlan.representations].rows(rows)
    let trace = batchPlan.heads[view].trace(batch)
    model.encoder.norm.forward(
      batch[tokens].rows(rows), into: representations, batchPlan.norm.trace(batch, rows: rows), weights)
    model.projector.forward(representations, trace, weights)
    Elementwise.copy(trace.output, to: batch[projections].rows(rows))
  }

  /// From the gradient of one view's projections to that of its class tokens.
  private func backproject(_ view: Int, _ gradients: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let d = batch[batchPlan.representationGradients].rows(rows)
    let tokenGradients = batch[batchPlan.tokenGradients].rows(rows)
    model.projector.backward(
      batch[batchPlan.projectionGradients].rows(rows), input: batch[batchPlan.representations].rows(rows),
      into: d, batchPlan.heads[view].trace(batch), parameters, gradients)
    Elementwise.fill(tokenGradients, 0)
    model.encoder.norm.backward(
      d, batchPlan.norm.trace(batch, rows: rows), adding: tokenGradients, parameters, gradients)
  }

  /// ρ / 2 ‖w - w_global‖², its gradient added to that of what trains (FedProx, arXiv 1812.06127).
  func addProximalTerm() -> Float {
    guard options.proximal != 0 else { return 0 }
    let (w, origin) = (parameters[stage.range].start, reference[stage.range].start)
    let gradient = lanes[0].storage[stage.range].start
    var square: Double = 0
    for index in 0..<stage.range.count {
      let difference = w[index] - origin[index]
      square += Double(difference * difference)
      gradient[index] += options.proximal * difference
    }
    return options.proximal / 2 * Float(square)
  }
}
