import Datasets
import Engine

/// A training job, defined in one YAML file (docs/plans.md).
///
/// The structs have the names of the file. `Plan(yaml:file:)` parses and checks a file; ``problems`` checks a plan from
/// any other source.
package struct Plan: Sendable, Hashable, Codable {
  /// The name of the job in reports and in the database. Default "strata".
  package var name: String
  /// The seed of all random numbers of the job. Default 1, so that runs are repeatable by default.
  package var seed: UInt64
  /// The encoder to train. No default.
  package var encoder: EncoderConfiguration
  /// A safetensors file with initial values for the encoder's parts, relative to the plan's file. Only the server reads
  /// it. Default nil: all parts start as in `method.initialisation`.
  package var initial: String?
  /// The heads for training, which are discarded afterwards.
  package var heads: HeadConfiguration
  /// The growth of the encoder, and the loss.
  package var method: Method
  /// The settings of a client's training in a round.
  package var local: LocalTraining
  /// The participants of a round, and its end.
  package var round: RoundRules
  /// The encoding of updates and layers.
  package var traffic: TrafficRules
  /// The augmentation that creates the two views of an image.
  package var augmentation: AugmentationSettings

  package init(
    name: String = "strata", seed: UInt64 = 1, encoder: EncoderConfiguration,
    initial: String? = nil, heads: HeadConfiguration = HeadConfiguration(), method: Method = Method(),
    local: LocalTraining = LocalTraining(), round: RoundRules = RoundRules(),
    traffic: TrafficRules = TrafficRules(), augmentation: AugmentationSettings = AugmentationSettings()
  ) {
    self.name = name
    self.seed = seed
    self.encoder = encoder
    self.initial = initial
    self.heads = heads
    self.method = method
    self.local = local
    self.round = round
    self.traffic = traffic
    self.augmentation = augmentation
  }
}

extension Plan {
  /// Returns the fields in which this plan differs from another, in the order of the file, each as `round.quorum: 2
  /// there, 3 here`, where "there" is the other plan.
  package func differences(from other: Plan) -> [String] {
    PlanField.all.compactMap { field in
      let (here, there) = (value(of: field), other.value(of: field))
      return here == there ? nil : "\(field.path): \(there) there, \(here) here"
    }
  }

  /// Returns a field as in the file, truncated for a message.
  private func value(of field: PlanField) -> String {
    guard field.isPresent(in: self) else { return "nothing" }
    let text = field.write(self)
    return text.count > 60 ? "\(text.prefix(60))…" : text
  }
}

extension Plan {
  /// The number of stages in a lap of the layer-wise plan: depth divided by layers per stage.
  package var steps: Int { encoder.depth / method.layersPerStage }

  /// The number of stages of this plan: 1 for end-to-end and head-only, otherwise ``steps`` in each lap.
  package var stages: Int { method.strategy.hasSingleStage ? 1 : steps * method.laps }

  /// Returns the number of rounds of a stage, which starts at 1; the maximum if the curriculum is open.
  ///
  /// In further laps a stage has the same number of rounds as in the first. The single stage of end-to-end training has
  /// the total number of rounds of the layer-wise plan, so that plans which differ only in the strategy compare
  /// strategies over equal rounds.
  package func mostRounds(stage: Int) -> Int {
    precondition((1...stages).contains(stage), "stage \(stage) of \(stages)")
    return roundsPerUpdate * updates(stage: stage)
  }

  /// Returns the number of updates of a stage's parts.
  private func updates(stage: Int) -> Int {
    switch (method.roundsPerStage, method.strategy.hasSingleStage) {
    case (.each(let rounds), true): return rounds * steps
    case (.each(let rounds), false): return rounds
    case (.list(let rounds), true): return rounds.reduce(0, +)
    case (.list(let rounds), false): return rounds[(stage - 1) % steps]
    }
  }

  /// The number of rounds of the whole job; the maximum if the curriculum is open.
  package var mostRounds: Int { (1...stages).reduce(0) { $0 + mostRounds(stage: $1) } }
}
