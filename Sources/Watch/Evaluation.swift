import Engine
import Federation
import Pages
import Server

extension Overview {
  /// The exits of a classification after the last probed round, on the server's test images. Shares are 0 … 1.
  package struct Evaluation: Sendable, Hashable, Codable {
    package var stage: Int
    package var round: Int
    /// The accuracy of each exit by its name, `exits.N` for the exit after N blocks.
    package var exits: [String: Double]
    /// The measures of the last exit (``ClassificationReport``).
    package var accuracy: Double
    package var majorityBaseline: Double?
    package var balancedAccuracy: Double?
    package var macroF1: Double?
    package var auroc: Double?
    /// The number of test images by true class (row) and predicted class (column), [C, C]; nil with more classes than
    /// a page shows (``ConfusionMatrixFigure/mostClasses``).
    package var confusion: [[Int]]?
    /// The names of the classes, [C]; nil if they have only numbers.
    package var classNames: [String]?
  }

  /// The last validation that a client has reported, of the model of a round. Shares are 0 … 1.
  package struct Validation: Sendable, Hashable, Codable {
    package var stage: Int
    package var round: Int
    /// The number of the client's images.
    package var images: Int
    /// The accuracy of the last exit, and of always predicting the client's most frequent class.
    package var accuracy: Double
    package var majorityBaseline: Double?
    /// The accuracy of each exit by its name.
    package var exits: [String: Double]

    /// Returns the last validation of each client.
    static func latest(of rounds: [Round]) -> [String: Validation] {
      rounds.reduce(into: [:]) { latest, round in
        for client in round.metrics.clients.keys {
          if let validation = Validation(round, client) { latest[client] = validation }
        }
      }
    }

    private init?(_ round: Round, _ client: String) {
      let metrics = round.metrics
      guard let accuracy = metrics[.validationAccuracy, client: client],
        let images = metrics[.validationImages, client: client].flatMap({ Int(exactly: $0.rounded()) })
      else { return nil }
      (stage, self.round, self.images, self.accuracy) = (round.stage, round.round, images, accuracy)
      majorityBaseline = metrics[.validationBaseline, client: client]
      exits = (metrics.clientLayers[client] ?? [:]).compactMapValues { $0[Metric.validationAccuracy.name] }
    }
  }
}

extension Overview.Evaluation {
  /// The evaluation in a database; nil without one. Without a plan, it has no confusion matrix.
  package init?(_ recorded: RecordedJob, _ plan: Plan?) {
    guard
      let last = recorded.attempts.last(where: {
        $0.record.outcome == .committed && $0.record.metrics[.accuracy] != nil
      }), let accuracy = last.record.metrics[.accuracy]
    else { return nil }
    let metrics = last.record.metrics
    (stage, round, self.accuracy) = (last.stage, last.record.number, accuracy)
    exits = metrics.layers.compactMapValues { $0[Metric.accuracy.name] }
    (majorityBaseline, balancedAccuracy) = (metrics[.majorityBaseline], metrics[.balancedAccuracy])
    (macroF1, auroc) = (metrics[.macroF1], metrics[.auroc])
    guard let classes = plan?.method.classification?.classes, let stored = recorded.confusion,
      stored.round == last.record.id, classes.count <= ConfusionMatrixFigure.mostClasses,
      let report = ClassificationReport(cells: stored.cells, classes: classes.count)
    else { return }
    confusion = report.confusion
    if case .names(let names) = classes { classNames = names }
  }

  /// The accuracy and the majority baseline in a few words.
  package var words: String {
    func percent(_ share: Double) -> String { Numeral.fixed(100 * share, digits: 1) + " %" }
    let baseline = majorityBaseline.map { ", majority class \(percent($0))" } ?? ""
    return "\(percent(accuracy)) after stage \(stage) round \(round)\(baseline)"
  }
}

/// The confusion matrix of the last exit, on a page.
struct ConfusionSection {
  let evaluation: Overview.Evaluation?

  /// A heading and the figure; empty without a matrix.
  var html: String {
    guard let evaluation, let confusion = evaluation.confusion else { return "" }
    let figure = ConfusionMatrixFigure(
      confusion, names: evaluation.classNames,
      title: "Last exit after stage \(evaluation.stage), round \(evaluation.round), test samples")
    return "<h2>Confusion matrix</h2>\n\(figure.html)"
  }
}
