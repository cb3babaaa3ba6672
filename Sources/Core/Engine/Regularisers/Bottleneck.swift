/// β I(X; T) or β S(T), where X are the network's inputs and T the features of a stage: a bottleneck of information
/// between them (GreedyDIB, arXiv 2510.27651).
package struct Bottleneck: FeaturePenalty {
  package let name = "bottleneck"
  package let settings: RenyiBottleneck.Settings

  package init(_ settings: RenyiBottleneck.Settings) { self.settings = settings }

  package var needsInputs: Bool { settings.term == .information }

  package func makeStep(batch: Int, views: Int, inputs: Int, features: Int, in layout: inout Layout)
    -> any FeaturePenaltyStep
  {
    // The term of several views is their mean.
    var settings = settings
    settings.weight /= Float(views)
    return Step(
      bottleneck: RenyiBottleneck(settings, batch: batch, inputs: inputs, features: features, in: &layout))
  }

  private struct Step: FeaturePenaltyStep {
    let bottleneck: RenyiBottleneck

    func loss(inputs: Matrix, features: Matrix, adding gradients: Matrix, _ work: borrowing Storage) -> Float
    {
      bottleneck.loss(x: inputs, t: features, adding: gradients, work)
    }
  }
}

/// The penalties on a batch's features, with their memory.
///
/// B images in V views, D = width of a representation.
package struct FeaturePenalties: Sendable {
  private let steps: [(name: String, step: any FeaturePenaltyStep)]
  private let batch, views: Int

  package init(_ options: TrainingOptions, _ encoder: any Encoder, views: Int, in layout: inout Layout) {
    let penalties = options.featurePenalties
    (batch, self.views) = (options.batch, views)
    var steps: [(name: String, step: any FeaturePenaltyStep)] = []
    for penalty in penalties {
      let step = penalty.makeStep(
        batch: options.batch, views: views, inputs: encoder.inputCount, features: encoder.output, in: &layout)
      steps.append((penalty.name, step))
    }
    self.steps = steps
  }

  /// Adds the penalties to the loss, and their gradients to those of the representations [V·B, D].
  package func add(
    to terms: inout LossTerms, _ representations: Matrix, adding gradients: Matrix, inputs: Matrix?,
    _ work: borrowing Storage
  ) {
    for (name, step) in steps {
      var sum: Float = 0
      for view in 0..<views {
        let rows = view * batch..<(view + 1) * batch
        let (t, dt) = (representations.rows(rows), gradients.rows(rows))
        // A penalty that does not need the inputs does not read them.
        let x = inputs?.rows(rows) ?? t
        sum += step.loss(inputs: x, features: t, adding: dt, work)
      }
      terms.add(name, sum)
    }
  }
}
