import Engine

extension Plan {
  /// Stages of a lap of the layer-wise plan: depth over layers a stage.
  package var steps: Int { encoder.depth / method.layersPerStage }

  /// Stages of this plan: 1 for end-to-end, otherwise ``steps`` in each lap.
  package var stages: Int { method.strategy == .endToEnd ? 1 : steps * method.laps }

  /// Rounds of a stage, counted from 1; where its curriculum is open, at most.
  ///
  /// In a further lap a stage has the rounds that it has in the first.
  /// The single stage of end-to-end has as many rounds as the layer-wise plan has altogether, so that a
  /// plan of which only the strategy changes compares strategies over equal rounds.
  package func mostRounds(stage: Int) -> Int {
    precondition((1...stages).contains(stage), "stage \(stage) of \(stages)")
    switch (method.roundsPerStage, method.strategy) {
    case (.each(let rounds), .endToEnd): return rounds * steps
    case (.each(let rounds), _): return rounds
    case (.list(let rounds), .endToEnd): return rounds.reduce(0, +)
    case (.list(let rounds), _): return rounds[(stage - 1) % steps]
    }
  }

  /// Rounds of the whole job; where its curriculum is open, at most.
  package var mostRounds: Int { (1...stages).reduce(0) { $0 + mostRounds(stage: $1) } }
}
