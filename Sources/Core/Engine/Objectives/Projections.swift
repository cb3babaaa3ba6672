/// The encoder's readout for a batch, from pooled features to representations, with its backward pass.
///
/// R rows, F = pooled width, D = width of a representation.
package struct Representing: Sendable {
  private let readout: Readout
  private let trace: Readout.TracePlan
  /// The representations and their gradients [R, D].
  package let representations, gradients: Slot

  package init(_ encoder: any Encoder, rows: Int, in layout: inout Layout) {
    let width = encoder.output
    readout = encoder.readout
    trace = readout.tracePlan(rows: rows, width: width, in: &layout)
    representations = layout.add("representations", rows, width)
    gradients = layout.add("representation gradients", rows, width)
  }

  /// Computes the representations of `rows` of `pooled` [R, F].
  package func forward(
    _ pooled: Matrix, rows: Range<Int>, _ parameters: borrowing Storage, _ work: borrowing Storage
  ) {
    readout.forward(
      pooled.rows(rows), into: work[representations].rows(rows), trace, rows: rows, work, parameters)
  }

  /// Computes the gradient of `rows` of the pooled features from that of their representations.
  package func backward(
    into gradients: Matrix, pooled: Matrix, rows: Range<Int>, _ parameters: borrowing Storage,
    _ work: borrowing Storage, adding headGradients: borrowing Storage
  ) {
    readout.backward(
      work[self.gradients].rows(rows), input: pooled.rows(rows), into: gradients.rows(rows), trace,
      rows: rows, work, parameters, headGradients)
  }
}

/// An objective that compares projections of two views.
package protocol ProjectionObjective: Objective {
  /// The projector, and the predictor if there is one.
  var projectionHeads: [ProjectionHead] { get }
}

extension ProjectionObjective {
  package var views: Int { 2 }
  package var needsLabels: Bool { false }

  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    ProjectionHead.distribution(of: entry)
  }
}

/// The forward and backward pass of the views of a batch, two by default, through readout and projector: z = H(readout(pooled)). One
/// worker processes a view, because batch statistics cover one view.
///
/// B images, P = width of a projection; row v·B + i is view v of image i.
package struct Projections: Sendable {
  private let projector: ProjectionHead
  private let representing: Representing
  /// The projector's traces, one per view.
  private let traces: [ProjectionHead.TracePlan]
  /// The projections z and their gradients [V·B, P].
  package let output, gradients: Slot
  package let batch: Int
  /// The number of views V.
  private let views: Int
  private let penalties: FeaturePenalties

  package init(
    _ projector: ProjectionHead, _ encoder: any Encoder, _ options: TrainingOptions, views: Int = 2,
    in layout: inout Layout
  ) {
    let batch = options.batch
    precondition(batch >= 2, "a batch of \(batch): contrast needs two images")
    (self.projector, self.batch, self.views) = (projector, batch, views)
    representing = Representing(encoder, rows: views * batch, in: &layout)
    var traces: [ProjectionHead.TracePlan] = []
    for _ in 0..<views { traces.append(ProjectionHead.TracePlan(projector, rows: batch, in: &layout)) }
    self.traces = traces
    output = layout.add("projections", views * batch, projector.output)
    gradients = layout.add("projection gradients", views * batch, projector.output)
    penalties = FeaturePenalties(options, encoder, views: views, in: &layout)
  }

  package func rows(of view: Int) -> Range<Int> { view * batch..<(view + 1) * batch }

  /// Computes `z`, which is ``output`` or that of another branch. The backward pass uses the traces of the last call,
  /// so other branches must run first.
  package func forward(
    _ pooled: Matrix, into z: Matrix, _ parameters: borrowing Storage, _ work: borrowing Storage,
    _ workers: Workers
  ) {
    workers.run(views) { view, _ in
      let (rows, trace) = (rows(of: view), traces[view].trace(work))
      representing.forward(pooled, rows: rows, parameters, work)
      projector.forward(work[representing.representations].rows(rows), trace, parameters)
      Elementwise.copy(trace.output, to: z.rows(rows))
    }
  }

  /// Computes the gradients of the batch's pooled features from ``gradients``, and adds the penalties on features to the
  /// loss.
  package func backward(
    _ batch: PooledBatch, adding terms: inout LossTerms, _ parameters: borrowing Storage,
    _ work: borrowing Storage, _ workers: Workers
  ) {
    workers.run(views) { view, _ in
      let (rows, headGradients) = (rows(of: view), batch.headGradients[view])
      projector.backward(
        work[gradients].rows(rows), input: work[representing.representations].rows(rows),
        into: work[representing.gradients].rows(rows), traces[view].trace(work), parameters,
        headGradients.storage)
    }
    penalties.add(
      to: &terms, work[representing.representations], adding: work[representing.gradients],
      inputs: batch.inputs, work)
    workers.run(views) { view, _ in
      representing.backward(
        into: batch.gradients, pooled: batch.pooled, rows: rows(of: view), parameters, work,
        adding: batch.headGradients[view].storage)
    }
  }

  package func monitors(_ work: borrowing Storage) -> CollapseMonitors? {
    CollapseMonitors(projections: work[output], representations: work[representing.representations])
  }
}

/// The penalties on a batch's projections, with the reference branch's projections if a penalty uses them.
package struct ProjectionPenalties: Sendable {
  private let steps: [(name: String, step: any RepresentationPenaltyStep)]
  /// The projections g of the reference branch [2B, P].
  private let reference: Slot?

  package init(
    _ penalties: [any RepresentationPenalty], batch: Int, width: Int, in layout: inout Layout
  ) {
    reference =
      penalties.contains { $0.usesReference }
      ? layout.add("reference projections", 2 * batch, width) : nil
    var steps: [(name: String, step: any RepresentationPenaltyStep)] = []
    for penalty in penalties {
      steps.append((penalty.name, penalty.makeStep(batch: batch, views: 2, width: width, in: &layout)))
    }
    self.steps = steps
  }

  /// Computes the reference branch's projections; must run before the online branch.
  package func prepare(
    _ projections: Projections, _ batch: PooledBatch, _ work: borrowing Storage, _ workers: Workers
  ) {
    guard let reference else { return }
    let branch = batch.branch(.reference)
    projections.forward(branch.pooled, into: work[reference], branch.parameters.storage, work, workers)
  }

  /// Adds the penalties to the loss, and their gradients to dz.                                       z, dz [2B, P]
  package func add(to loss: inout LossTerms, _ z: Matrix, adding dz: Matrix, _ work: borrowing Storage) {
    for (name, step) in steps {
      loss.add(name, step.loss(z, reference: reference.map { work[$0] } ?? z, adding: dz, work))
    }
  }
}
