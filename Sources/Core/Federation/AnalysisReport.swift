/// The analyses of a run's layers (``LayerAnalysis``), as written to its summary.
package struct AnalysisReport: Sendable, Hashable, Codable {
  /// The analysis of the model after a round.
  package struct Round: Sendable, Hashable, Codable {
    package let stage: Int
    /// The round, counted from 1 in each stage.
    package let round: Int
    /// The values by layer and metric; ``Metric/renyiPair`` by pair of layers.
    package let layers: [String: [String: Double]]

    package init(stage: Int, round: Int, layers: [String: [String: Double]]) {
      (self.stage, self.round, self.layers) = (stage, round, layers)
    }
  }

  /// The number of samples of the probe.
  package let samples: Int
  package let rounds: [Round]
  /// The representations of the last model; nil if they were not requested.
  package let representations: RepresentationPicture?

  package init(samples: Int, rounds: [Round], representations: RepresentationPicture?) {
    (self.samples, self.rounds, self.representations) = (samples, rounds, representations)
  }

  /// The means over several runs of the rounds, layers and metrics that all of them have, with the representations of the
  /// first; nil for no run.
  package init?(meanOf reports: [AnalysisReport]) {
    guard let first = reports.first else { return nil }
    let rounds = first.rounds.compactMap { round -> Round? in
      let same = reports.compactMap { report in
        report.rounds.first { ($0.stage, $0.round) == (round.stage, round.round) }
      }
      guard same.count == reports.count else { return nil }
      var layers: [String: [String: Double]] = [:]
      for (layer, values) in round.layers {
        for name in values.keys {
          let found = same.compactMap { $0.layers[layer]?[name] }
          guard found.count == same.count else { continue }
          layers[layer, default: [:]][name] = found.reduce(0, +) / Double(found.count)
        }
      }
      return Round(stage: round.stage, round: round.round, layers: layers)
    }
    self.init(samples: first.samples, rounds: rounds, representations: first.representations)
  }
}

extension AnalysisReport.Round {
  /// The values as metrics.
  package var metrics: RoundMetrics {
    var metrics = RoundMetrics()
    for (layer, values) in layers {
      for (name, value) in values { metrics.add(.init(name: name, client: nil, layer: layer, value: value)) }
    }
    return metrics
  }
}
