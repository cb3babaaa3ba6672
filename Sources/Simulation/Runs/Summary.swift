import Client
import Datasets
import Engine
import Federation
import Foundation
import Pages
import Server
import Support
import Synchronization

/// The summary of a run of `fedsim run`, as written to summary.json.
package struct Summary: Sendable, Codable {
  package struct ClientTraffic: Sendable, Codable {
    package let name: String
    package let samples: Int
    /// The bytes from the client to the server, counted at the server's socket.
    package let bytesUp: Int
    package let bytesDown: Int
  }

  /// The accuracies of the linear probe, 0 … 1.
  package struct Probe: Sendable, Codable {
    package let trained: Double
    package let untrained: Double
  }

  /// All evaluations of the encoder, trained and untrained.
  package struct Evaluation: Sendable, Codable {
    package let trained: EncoderEvaluation.Accuracies
    package let untrained: EncoderEvaluation.Accuracies
  }

  package let name: String
  package let seed: UInt64
  package let strategy: String
  package let objective: String
  package let stages: Int
  package let rounds: [RoundSummary]
  package let clients: [ClientTraffic]
  /// Whether the monitors of the last round show that the encoder maps all images to nearly the same point.
  package let collapsed: Bool
  package let probe: Probe?
  package let evaluation: Evaluation?
  /// The exits of a classification on the test images.
  package internal(set) var exits: ExitEvaluation.Result?
  /// The images and costs of a cascade.
  package internal(set) var cascade: CascadeAccount?
  /// The errors of a regression.
  package internal(set) var regression: RegressionEvaluation?
  /// The graph that was divided among the clients; nil for other data.
  package internal(set) var graph: GraphAccount?
  /// The probes by round, if requested.
  package internal(set) var probes: [RoundProbe]?
  /// The analyses of layers, if requested.
  package internal(set) var analysis: AnalysisReport?
  /// The report of the clients' links, if they had a shape.
  package internal(set) var link: LinkReport?
  /// The SHA-256 digest of the encoder's float32 weights in layout order.
  package let encoderDigest: String
  /// The seconds of the run; of a resumed run those since it was last resumed, and of the rounds before.
  package let seconds: Double
  /// How often the run was resumed; nil for never.
  package internal(set) var resumes: Int?
  /// The peak resident memory of this process.
  package let peakMemoryBytes: Int

  init(
    plan: Plan, rounds: [RoundSummary], clients: [ClientRecord], evaluation: Evaluation?,
    encoderDigest: Digest, seconds: Double
  ) {
    (name, seed, strategy) = (plan.name, plan.seed, plan.method.strategy.rawValue)
    (objective, stages, self.rounds) = (plan.method.objective.rawValue, plan.stages, rounds)
    self.clients = clients.map {
      ClientTraffic(name: $0.name, samples: $0.samples, bytesUp: $0.bytesUp, bytesDown: $0.bytesDown)
    }
    collapsed = rounds.last?.monitors?.isCollapsed ?? false
    probe = evaluation.map {
      Probe(trained: $0.trained.linearProbe, untrained: $0.untrained.linearProbe)
    }
    (self.evaluation, self.encoderDigest, self.seconds) = (evaluation, encoderDigest.description, seconds)
    peakMemoryBytes = ProcessMemory.peak
  }

  /// The results of the run and its time.
  var figures: [(Figure, Double?)] {
    let (trained, untrained) = (evaluation?.trained, evaluation?.untrained)
    let last = exits?.exits.last?.report
    return [
      (.linearProbe, linearProbe), (.untrainedProbe, untrainedProbe),
      (.nearestNeighbours, trained?.nearestNeighbours), (.fineTuned, trained?.fineTuned),
      (.logisticRegression, trained?.logisticRegression), (.smoothness, trained?.smoothness),
      (.untrainedRegression, untrained?.logisticRegression), (.accuracy, last?.accuracy),
      (.majorityBaseline, last?.majorityBaseline), (.balancedAccuracy, last?.balancedAccuracy),
      (.macroF1, last?.macroF1), (.auroc, last?.auroc), (.seconds, roundSeconds),
    ]
  }

  /// Writes summary.json, encoder.safetensors and report.txt.
  func write(to folder: URL, _ checkpoint: EncoderCheckpoint) throws {
    try JSON.shown(self).write(to: folder.appendingPathComponent("summary.json"))
    try checkpoint.encoded().write(to: folder.appendingPathComponent("encoder.safetensors"))
    try Data(table.utf8).write(to: folder.appendingPathComponent("report.txt"))
  }

  /// The run as a table for a terminal.
  package var table: String {
    var lines = ["\(name): \(strategy), \(objective), \(counted(clients.count, "client"))", ""]
    lines.append(
      "stage  round      loss  clients  samples  seconds" + (link == nil ? "" : "  network  cuts")
        + (probes == nil ? "" : "   probe") + (hasAccuracies ? "  accuracy" : ""))
    for round in rounds {
      lines.append(
        String(
          format: "%5d  %5d  %8.4f  %7d  %7d  %7.1f", round.stage, round.round, round.loss,
          round.clients,
          round.samples, round.seconds) + (link?.columns(of: round) ?? "") + probe(of: round))
    }
    let (up, down) = clients.reduce((0, 0)) { ($0.0 + $1.bytesUp, $0.1 + $1.bytesDown) }
    let count = max(clients.count, 1)
    lines.append("")
    lines.append(
      "bytes a client   up \(Self.megabytes(up / count))  down \(Self.megabytes(down / count))")
    if let link { lines.append("link             \(link.shape), \(link.cuts) connections cut") }
    if let monitors = rounds.last?.monitors {
      lines.append(
        String(
          format: "%@ effective rank %.1f, deviation %.2f",
          collapsed ? "COLLAPSED       " : "no collapse     ",
          monitors.effectiveRank, monitors.deviation))
      lines.append(
        String(
          format: "monitors         uniformity %.2f, alignment %.2f", monitors.uniformity, monitors.alignment)
      )
    }
    lines += graph?.lines ?? []
    lines += exits?.lines ?? []
    lines += cascade?.lines ?? []
    lines += regression?.lines ?? []
    lines += evaluation?.lines ?? []
    lines.append(
      String(format: "time             %.1f s, at most %@ resident", seconds, Self.megabytes(peakMemoryBytes))
        + (resumes.map { $0 == 1 ? ", resumed once" : ", resumed \($0) times" } ?? ""))
    lines.append("encoder          \(encoderDigest.prefix(16))…")
    return lines.joined(separator: "\n") + "\n"
  }

  /// Whether the probes have accuracies of the last exit.
  private var hasAccuracies: Bool { probes?.contains { $0.accuracy != nil } ?? false }

  /// Returns the table's cells with the linear probe and the accuracy of the last exit after a round.
  private func probe(of round: RoundSummary) -> String {
    guard let probe = probes?.first(where: { ($0.stage, $0.round) == (round.stage, round.round) }) else {
      return ""
    }
    return String(format: "  %4.1f %%", 100 * probe.linearProbe)
      + (probe.accuracy.map { String(format: "  %6.1f %%", 100 * $0) } ?? "")
  }

  private static func megabytes(_ bytes: Int) -> String { String(format: "%.2f MB", Double(bytes) / 1e6) }
}

/// A graph that was divided among clients.
package struct GraphAccount: Sendable, Hashable, Codable {
  /// The number of nodes.
  package let nodes: Int
  /// The number of edges of the graph, and of those between nodes of different clients, which no client has.
  package let edges, lostEdges: Int
  /// The share of the edges that are lost, 0 … 1.
  package let lostShare: Double
  /// The accuracy on the test nodes of each client, classified by its own part of the graph alone, over all clients;
  /// nil without a classification or test nodes.
  package internal(set) var ownAccuracy: Double?

  init(edges: LostEdges, nodes: Int) {
    self.nodes = nodes
    (self.edges, lostEdges, lostShare) = (edges.edges, edges.lost, edges.share)
  }

  /// The lines of a run's table.
  fileprivate var lines: [String] {
    [
      String(
        format: "edges lost       %d of %d, %.1f %%, between nodes of different clients", lostEdges, edges,
        100 * lostShare)
    ] + (ownAccuracy.map { [String(format: "own parts        %.1f %% right", 100 * $0)] } ?? [])
  }
}

extension Summary.Evaluation {
  /// A line for each evaluation.
  fileprivate var lines: [String] {
    func line(_ name: String, _ accuracy: (EncoderEvaluation.Accuracies) -> Double?) -> String? {
      guard let trained = accuracy(trained), let untrained = accuracy(untrained) else { return nil }
      return name.padding(toLength: 17, withPad: " ", startingAt: 0)
        + String(format: "%.1f %% trained, %.1f %% untrained", 100 * trained, 100 * untrained)
    }
    var lines = [
      line("linear probe") { $0.linearProbe }, line("k-NN") { $0.nearestNeighbours },
      line("fine-tuned") { $0.fineTuned }, line("logistic") { $0.logisticRegression },
    ]
    if let trained = trained.smoothness, let untrained = untrained.smoothness {
      lines.append(String(format: "smoothness       %.3f trained, %.3f untrained", trained, untrained))
    }
    return lines.compactMap(\.self)
  }
}

extension ExitEvaluation.Result {
  /// A line for each exit, and one for the most frequent class.
  fileprivate var lines: [String] {
    var lines = exits.map { exit in
      let report = exit.report
      let auroc = report.auroc.map { String(format: ", AUROC %.3f", $0) } ?? ""
      return String(
        format: "exit %-11d %.1f %% right, %.1f %% balanced, macro-F1 %.1f %%", exit.depth,
        100 * report.accuracy, 100 * report.balancedAccuracy, 100 * report.macroF1) + auroc
    }
    if let baseline = exits.last?.report.majorityBaseline {
      lines.append(String(format: "majority class   %.1f %% right", 100 * baseline))
    }
    if let early {
      let images = Double(max(early.leaving.reduce(0, +), 1))
      let shares = early.leaving.map { String(format: "%.0f", 100 * Double($0) / images) }
      lines.append(
        String(format: "leaving at %-4.2g  %.1f %% right, ", early.confidence, 100 * early.accuracy)
          + shares.joined(separator: "/")
          + String(
            format: " %% at exits 1 to %d, %.0f %% of the operations", shares.count,
            100 * early.operations / early.fullOperations))
    }
    return lines
  }
}

extension CascadeAccount {
  /// The lines of the images that remained, and of the training's cost.
  fileprivate var lines: [String] {
    let images = stages.map { "\($0.remaining)" }.joined(separator: ", ")
    return [
      "images left      \(images) by stage",
      String(
        format:
          "training         %.4g G multiply-accumulates, as %.3g epochs end to end; all %d epochs %.4g G",
        training / 1e9, equalEpochs, Int((endToEnd / (training / equalEpochs)).rounded()), endToEnd / 1e9),
    ]
  }
}

extension RegressionEvaluation {
  /// A line for the trained model, least squares and the untrained model.
  fileprivate var lines: [String] {
    func line(_ name: String, _ errors: Errors) -> String {
      name.padding(toLength: 17, withPad: " ", startingAt: 0) + String(format: "loss %.6g", errors.train)
        + (errors.test.map { String(format: ", on test rows %.6g", $0) } ?? "")
        + (errors.determination.map { String(format: ", R² %.6f", $0) } ?? "")
    }
    return [line("trained", trained)] + (leastSquares.map { [line("least squares", $0)] } ?? [])
      + [line("untrained", untrained)]
  }
}

extension LinkReport {
  /// Returns the additional columns of a round in the table.
  fileprivate func columns(of round: RoundSummary) -> String {
    rounds.first { ($0.stage, $0.round) == (round.stage, round.round) }
      .map { String(format: "  %7.1f  %4d", $0.networkSeconds, $0.cuts) } ?? ""
  }
}

extension RoundSummary {
  /// Returns the line of `fedsim run` about a committed round, in less than 80 columns.
  package func line(of plan: Plan) -> String {
    let calibration = calibrationLoss.map { "  calibrated \(Numeral.fixed($0, digits: 4))" } ?? ""
    return String(
      format: "stage %d/%d round %d%@  loss %@%@  %@  %.1f s", stage, plan.stages, round,
      plan.curriculum.isOpen
        ? " of at most \(plan.mostRounds(stage: stage))" : "/\(plan.mostRounds(stage: stage))",
      Numeral.fixed(loss, digits: 4), calibration, counted(clients, "client"),
      seconds)
  }

  /// Returns whether a text is such a line.
  package static func isLine(_ text: String) -> Bool {
    text.prefixMatch(of: #/stage \d+/\d+ round \d+(/| of at most )\d+  loss /#) != nil
  }
}
