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
