import Engine

extension Plan {
  /// Stages of the layer-wise plan: depth over layers a stage.
  package var steps: Int { encoder.depth / method.layersPerStage }

  /// Stages of this plan: 1 for end-to-end, otherwise ``steps``.
  package var stages: Int { method.strategy == .endToEnd ? 1 : steps }

  /// Rounds of a stage, counted from 1.
  ///
  /// The single stage of end-to-end has as many rounds as the layer-wise plan has altogether, so that a
  /// plan of which only the strategy changes compares strategies over equal rounds.
  package func rounds(stage: Int) -> Int {
    precondition((1...stages).contains(stage), "stage \(stage) of \(stages)")
    switch (method.roundsPerStage, method.strategy) {
    case (.each(let rounds), .endToEnd): return rounds * steps
    case (.each(let rounds), _): return rounds
    case (.list(let rounds), .endToEnd): return rounds.reduce(0, +)
    case (.list(let rounds), _): return rounds[stage - 1]
    }
  }

  /// Rounds of the whole job.
  package var totalRounds: Int { (1...stages).reduce(0) { $0 + rounds(stage: $1) } }
}
