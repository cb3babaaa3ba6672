/// The whole batch, behind the encoder: readout, heads and losses.
extension Trainer {
  /// Readout, heads and losses, and back to the gradients of the pooled features. Each view is a worker's,
  /// since batch statistics are of one view at a time.
  func compare() -> Float {
    let plan = batchPlan
    if let reference = plan.reference { project(reference.branch, self.reference.storage) }
    if case .prediction(let prediction) = plan.objective, let target {
      project(prediction.target, target.storage)
    }
    workers.run(2) { view, _ in project(plan.pooled, view, into: plan.projections, parameters) }
    let (z, dz) = (batch[plan.projections], batch[plan.projectionGradients])
    Elementwise.fill(dz, 0)
    var loss: Float
    switch plan.objective {
    case .contrast(let contrast):
      loss = contrast.loss(z, adding: dz, temperature: options.temperature, batch)
    case .prediction(let prediction): loss = predict(prediction, z, adding: dz)
    }
    if let reference = plan.reference { loss += align(reference.branch, reference.alignment, z, adding: dz) }
    workers.run(2) { view, _ in backproject(view, gradients(of: view).storage) }
    Elementwise.add(secondView.storage.all, to: lanes[0].storage[stage.headRange])
    return loss
  }

  func rows(of view: Int) -> Range<Int> { view * options.batch..<(view + 1) * options.batch }

  /// Where a view's gradients of readout and heads are summed.
  private func gradients(of view: Int) -> StorageBox { view == 0 ? lanes[0] : secondView }

  private func project(_ branch: BranchPlan, _ weights: borrowing Storage) {
    workers.run(2) { view, _ in project(branch.pooled, view, into: branch.projections, weights) }
  }

  /// z = H(readout(pooled)) of one view.
  private func project(_ pooled: Slot, _ view: Int, into projections: Slot, _ weights: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let representations = batch[batchPlan.representations].rows(rows)
    let trace = batchPlan.heads[view].trace(batch)
    model.encoder.readout.forward(
      batch[pooled].rows(rows), into: representations, batchPlan.readout, rows: rows, batch, weights)
    model.projector.forward(representations, trace, weights)
    Elementwise.copy(trace.output, to: batch[projections].rows(rows))
  }

  /// l(q1, k2) + l(q2, k1) with q = P(z) and k the target branch's projections; adds the gradient to dz.
  private func predict(_ plan: Objective.Prediction, _ z: Matrix, adding dz: Matrix) -> Float {
    guard let predictor = stage.model.predictor else { preconditionFailure("a loss without its predictor") }
    let (keys, dq) = (batch[plan.target.projections], batch[plan.gradients])
    workers.run(2) { view, _ in
      predictor.forward(z.rows(rows(of: view)), plan.heads[view].trace(batch), parameters)
    }
    Elementwise.fill(dq, 0)
    var loss: Float = 0
    for view in 0..<2 {
      let q = plan.heads[view].trace(batch).output
      let (k, d) = (keys.rows(rows(of: 1 - view)), dq.rows(rows(of: view)))
      switch plan.distance {
      case .infoNCE(let infoNCE):
        loss += infoNCE.loss(q, k, adding: d, temperature: options.temperature, batch)
      case .cosine(let cosine): loss += cosine.loss(q, k, adding: d, batch)
      }
    }
    workers.run(2) { view, _ in
      let rows = rows(of: view)
      let input = batch[plan.inputGradients].rows(rows)
      predictor.backward(
        dq.rows(rows), input: z.rows(rows), into: input, plan.heads[view].trace(batch), parameters,
        gradients(of: view).storage)
      Elementwise.add(input, to: dz.rows(rows))
    }
    return loss
  }

  /// α (l(z1, g1) + l(z2, g2)), g the projections through the global model as received (LW-FedSSL, arXiv
  /// 2401.11647v3, representation alignment); adds the gradient to dz.
  private func align(_ branch: BranchPlan, _ alignment: InfoNCE, _ z: Matrix, adding dz: Matrix) -> Float {
    let g = batch[branch.projections]
    var loss: Float = 0
    for view in 0..<2 {
      let rows = rows(of: view)
      loss += alignment.loss(
        z.rows(rows), g.rows(rows), adding: dz.rows(rows), temperature: options.temperature,
        weight: options.alignment, batch)
    }
    return options.alignment * loss
  }

  /// From the gradient of one view's projections to that of its pooled features.
  private func backproject(_ view: Int, _ gradients: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let d = batch[batchPlan.representationGradients].rows(rows)
    model.projector.backward(
      batch[batchPlan.projectionGradients].rows(rows), input: batch[batchPlan.representations].rows(rows),
      into: d, batchPlan.heads[view].trace(batch), parameters, gradients)
    model.encoder.readout.backward(
      d, input: batch[batchPlan.pooled].rows(rows), into: batch[batchPlan.pooledGradients].rows(rows),
      batchPlan.readout, rows: rows, batch, parameters, gradients)
  }

  /// ρ / 2 ‖w - w_global‖², its gradient added to that of what trains (FedProx, arXiv 1812.06127).
  func addProximalTerm() -> Float {
    guard options.proximal != 0 else { return 0 }
    var square: Double = 0
    for range in stage.optimised {
      let (w, origin) = (parameters[range].start, reference.storage[range].start)
      let gradient = lanes[0].storage[range].start
      for index in 0..<range.count {
        let difference = w[index] - origin[index]
        square += Double(difference * difference)
        gradient[index] += options.proximal * difference
      }
    }
    return options.proximal / 2 * Float(square)
  }
}
