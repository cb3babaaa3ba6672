import Datasets
import Engine

/// A whole training job, as one YAML file says it (docs/plans.md).
///
/// The structs mirror the file name by name. `Plan(yaml:file:)` reads and checks one; a plan that arrived
/// another way is checked by reading its own `yaml()` again.
package struct Plan: Sendable, Hashable, Codable {
  /// What the job is called in reports and in the store. Default "strata": a name is a convenience.
  package var name: String
  /// Every random number of the job follows from this one. Default 1: runs repeat unless told otherwise.
  package var seed: UInt64
  /// The encoder to grow. No default: it is what the job is about.
  package var encoder: EncoderConfiguration
  /// A safetensors file whose parts are what the encoder's start from, relative to the plan's file. Only the server
  /// reads it. Default nil: everything starts as `method.initialisation` says.
  package var initial: String?
  /// The heads that training needs and throws away.
  package var heads: HeadConfiguration
  /// How the encoder grows, and by which loss.
  package var method: Method
  /// What a client does in a round.
  package var local: LocalTraining
  /// Who takes part in a round, and when it is over.
  package var round: RoundRules
  /// How numbers travel.
  package var traffic: TrafficRules
  /// How the two views of an image come about.
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
  /// The fields in which this plan is not another, in the order of the file, each as `round.quorum: 2 there, 3 here`.
  /// The other one is there.
  package func differences(from other: Plan) -> [String] {
    PlanField.all.compactMap { field in
      let (here, there) = (value(of: field), other.value(of: field))
      return here == there ? nil : "\(field.path): \(there) there, \(here) here"
    }
  }

  /// A field as the file has it, short enough for a message.
  private func value(of field: PlanField) -> String {
    guard field.section != PlanField.optionalSection || method.calibration != nil,
      field.belongs(to: self)
    else { return "nothing" }
    let text = field.write(self)
    return text.count > 60 ? "\(text.prefix(60))…" : text
  }
}

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
