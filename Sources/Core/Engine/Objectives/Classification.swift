/// The cross-entropy loss of a classifier: -log softmax(y)[label], averaged over the rows.
///
/// B images, C classes.
package enum CrossEntropy {
  /// Returns the loss of logits and replaces them with the gradient, (softmax(y) - one-hot) / B, in place.   y [B, C]
  package static func loss(_ y: Matrix, label: (Int) -> Int) -> Float {
    var total: Double = 0
    let scale = 1 / Float(y.rows)
    for r in 0..<y.rows {
      let label = label(r)
      let own = y[r, label]
      total += Double(Softmax.row(y.row(r), count: y.columns) - own)
      y[r, label] -= 1
      for c in 0..<y.columns { y[r, c] *= scale }
    }
    return Float(total / Double(y.rows))
  }
}

/// Classification of images with a linear layer on the representations, trained with cross-entropy.
package struct ClassificationObjective: Objective {
  package let views = 1
  package let needsLabels = true
  package let branches: [Branch] = []
  package let head: Linear
  package let classes: Int

  /// The layer's parameters have timm's names, `head.weight` and `head.bias`.
  init(classes: Int, width: Int, in layout: inout Layout) {
    precondition(classes > 0, "\(classes) classes")
    self.classes = classes
    layout.part = "head"
    head = Linear("head", inputs: width, outputs: classes, in: &layout)
  }

  /// The distributions of timm's linear layers.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    entry.shape.count == 1 ? .constant(0) : .normal(deviation: 0.02)
  }

  package var classifier: Linear? { head }

  package func makeClassifier(_ name: String, width: Int, in layout: inout Layout) -> Linear? {
    Linear("\(name).head", inputs: width, outputs: classes, in: &layout)
  }

  package func operations(passes: Int) -> Int { passes * 2 * head.weight.count }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    precondition(penalties.isEmpty, "a classification with \(penalties.map(\.name))")
    return Step(
      head: head, representing: Representing(encoder, rows: options.batch, in: &layout),
      logits: layout.add("logits", options.batch, classes))
  }

  private struct Step: ObjectiveStep {
    let head: Linear
    let representing: Representing
    /// The logits, which are replaced with their gradients [B, C].
    let logits: Slot

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (y, logits, rows) = (work[representing.representations], work[logits], 0..<batch.pooled.rows)
      let gradients = batch.headGradients[0]
      representing.forward(batch.pooled, rows: rows, parameters, work)
      head.forward(y, into: logits, parameters)
      let loss = CrossEntropy.loss(logits, label: batch.images.label)
      head.backward(
        logits, input: y, into: work[representing.gradients], parameters, gradients.storage)
      representing.backward(
        into: batch.gradients, pooled: batch.pooled, rows: rows, parameters, work, adding: gradients.storage)
      return LossTerms("cross-entropy", loss)
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { nil }
  }
}

extension ObjectiveConfiguration {
  /// Cross-entropy of a linear layer on the representations.
  package static func classification(classes: Int) -> Self {
    ObjectiveConfiguration { width, layout in
      ClassificationObjective(classes: classes, width: width, in: &layout)
    }
  }
}
