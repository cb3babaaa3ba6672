import Foundation

/// The cross-entropy loss of a classifier with label smoothing ε, averaged over the rows:
/// (1 - ε) (-log p_y) + ε / C Σ (-log p_c), p = softmax(y).
///
/// B images, C classes.
package enum CrossEntropy {
  /// Returns the loss of logits and replaces them with the gradient, (p - ((1 - ε) one-hot + ε / C)) / B, in place.
  ///                                                                                                      y [B, C]
  package static func loss(_ y: Matrix, smoothing: Float = 0, label: (Int) -> Int) -> Float {
    var total: Double = 0
    let (scale, share) = (1 / Float(y.rows), smoothing / Float(y.columns))
    for r in 0..<y.rows {
      let label = label(r)
      let own = y[r, label]
      let sum = smoothing > 0 ? Elementwise.sum(y.row(r), count: y.columns) : 0
      let logSum = Softmax.row(y.row(r), count: y.columns)
      total += Double(logSum - own)
      if smoothing > 0 {
        // -Σ log p_c = C logSum - Σ y_c.
        total += Double(smoothing * (own - sum / Float(y.columns)))
        for c in 0..<y.columns { y[r, c] -= share }
      }
      y[r, label] -= 1 - smoothing
      for c in 0..<y.columns { y[r, c] *= scale }
    }
    return Float(total / Double(y.rows))
  }
}

/// The loss of a commitment head: binary cross-entropy against whether the classifier is right, averaged over the rows.
/// Neither the representations nor the logits have a gradient of it (QuickNets, arXiv 2212.12866).
package enum CommitmentLoss {
  /// Returns the loss and replaces u with the gradient (sigmoid(u) - right) / B.                        u, right [B, 1]
  package static func loss(_ u: Matrix, right: Matrix) -> Float {
    var total: Double = 0
    for r in 0..<u.rows {
      let (value, target) = (Double(u[r, 0]), Double(right[r, 0]))
      // log(1 + e^u) - target u, without overflow.
      total += max(value, 0) + log1p(exp(-abs(value))) - target * value
      u[r, 0] = Float((1 / (1 + exp(-value)) - target) / Double(u.rows))
    }
    return Float(total / Double(u.rows))
  }

  /// Writes 1 for each row whose largest logit is that of its label, else 0; of equal logits the lower class counts.
  package static func right(_ logits: Matrix, into right: Matrix, label: (Int) -> Int) {
    for r in 0..<logits.rows {
      let best = (1..<max(logits.columns, 1)).reduce(0) { logits[r, $1] > logits[r, $0] ? $1 : $0 }
      right[r, 0] = best == label(r) ? 1 : 0
    }
  }
}

/// Classification of images by their representations, trained with cross-entropy on one view of each image.
package struct ClassificationObjective: Objective {
  package let views = 1
  package let needsLabels = true
  package let branches: [Branch] = []
  package let head: Classifier
  package let configuration: ClassifierConfiguration

  init(_ configuration: ClassifierConfiguration, width: Int, in layout: inout Layout) {
    self.configuration = configuration
    layout.part = configuration.convention == .timm ? "head" : "classifier"
    head = Classifier(configuration, width: width, in: &layout)
  }

  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    switch configuration.convention {
    case .timm: entry.shape.count == 1 ? .constant(0) : .normal(deviation: 0.02)
    // An exit's classifier is a copy of a stage's.
    case .sequential, .graph: head.bound(of: entry).map { .uniform(bound: $0) } ?? .constant(0)
    }
  }

  package var partsOfStage: Set<String> { [Classifier.commitmentPart] }
  package var classifier: Classifier? { head }

  package func makeClassifier(_ name: String, width: Int, in layout: inout Layout) -> Classifier? {
    Classifier(configuration, width: width, prefix: "\(name).", in: &layout)
  }

  package func operations(passes: Int) -> Int { passes * head.operations }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep {
    precondition(penalties.isEmpty, "a classification with \(penalties.map(\.name))")
    return Step(
      head: head, smoothing: configuration.smoothing,
      representing: Representing(encoder, rows: options.batch, in: &layout),
      trace: Classifier.TracePlan(head, rows: options.batch, in: &layout),
      penalties: FeaturePenalties(options, encoder, views: 1, in: &layout),
      commitment: head.commitment.map {
        ($0, layout.add("commitment", options.batch, 1), layout.add("right", options.batch, 1))
      })
  }

  private struct Step: ObjectiveStep {
    let head: Classifier
    let smoothing: Float
    let representing: Representing
    let trace: Classifier.TracePlan
    let penalties: FeaturePenalties
    /// The commitment head, its outputs u, and whether the classifier is right [B, 1].
    let commitment: (head: Linear, outputs: Slot, right: Slot)?

    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms {
      let (t, rows) = (work[representing.representations], 0..<batch.pooled.rows)
      let gradients = batch.headGradients[0]
      representing.forward(batch.pooled, rows: rows, parameters, work)
      head.forward(t, trace, rows: rows, work, parameters)
      if let commitment {
        CommitmentLoss.right(work[trace.logits], into: work[commitment.right], label: batch.images.label)
      }
      var terms = LossTerms(
        "cross-entropy",
        CrossEntropy.loss(work[trace.logits], smoothing: smoothing, label: batch.images.label))
      head.backward(
        input: t, into: work[representing.gradients], trace, rows: rows, work, parameters, gradients.storage)
      if let (head, outputs, right) = commitment {
        let u = work[outputs]
        head.forward(t, into: u, parameters)
        terms.add("commitment", CommitmentLoss.loss(u, right: work[right]))
        head.backward(u, input: t, into: nil, parameters, gradients.storage)
      }
      penalties.add(to: &terms, t, adding: work[representing.gradients], inputs: batch.inputs, work)
      representing.backward(
        into: batch.gradients, pooled: batch.pooled, rows: rows, parameters, work, adding: gradients.storage)
      return terms
    }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { nil }
  }
}

extension ObjectiveConfiguration {
  /// Cross-entropy of a classifier on the representations.
  package static func classification(_ classifier: ClassifierConfiguration) -> Self {
    ObjectiveConfiguration { width, layout in
      ClassificationObjective(classifier, width: width, in: &layout)
    }
  }

  /// Cross-entropy of a linear classifier of `classes` classes.
  package static func classification(classes: Int) -> Self {
    classification(ClassifierConfiguration(classes: classes))
  }
}

extension ObjectiveKind {
  /// Cross-entropy with labels; a stage leaves its classifier behind as an exit.
  package static let classification = ObjectiveKind("classification") { .classification($0.classifier) }
}
