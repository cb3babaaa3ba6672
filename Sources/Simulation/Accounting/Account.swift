import Engine
import Federation

/// What a plan costs a client, without training: by the conventions of LW-FedSSL's tables and as this
/// software has it, beside the other strategies, layers a stage and depth dropout. The names are those of
/// `fedsim account --json`.
package struct Account: Sendable, Hashable, Codable {
  /// One way to train the plan's encoder over the plan's rounds.
  package struct Line: Sendable, Hashable, Codable {
    package let strategy: Strategy
    package let layersPerStage: Int
    /// Blocks that run at a client at most; 0: all.
    package let activeBlocks: Int
    /// When the server calibrates; nil: never.
    package let calibration: Plan.Calibration.Interval?
    /// Whether this is what the plan says.
    package let isPlan: Bool
    package let paper: PaperFigures
    package let planned: PlannedFigures
  }

  package let name: String
  package let encoder: EncoderConfiguration
  package let ssl: SelfSupervision
  package let rounds: Int
  package let localEpochs: Int
  package let batch: Int
  /// When the plan's server calibrates; nil: never.
  package let calibration: Plan.Calibration.Interval?
  /// A client's images.
  package let images: Int
  /// The three strategies, end-to-end first, and layer-wise with a calibration after every round.
  package let strategies: [Line]
  /// Layer-wise and progressive training with other numbers of layers a stage, and with depth dropout; none
  /// for an encoder that has none such.
  package let growth: [Line]

  /// For a client with so many images; nil for one batch of them.
  package init(_ plan: Plan, images: Int? = nil) {
    let images = images ?? plan.local.batch
    func line(_ variant: Plan) -> Line {
      Line(
        strategy: variant.method.strategy, layersPerStage: variant.method.layersPerStage,
        activeBlocks: variant.method.activeBlocks, calibration: variant.method.calibration?.every,
        isPlan: variant == plan, paper: PaperFigures(variant),
        planned: PlannedFigures(variant, images: images))
    }
    (name, encoder, ssl, rounds) = (plan.name, plan.encoder, plan.method.ssl, plan.mostRounds)
    (localEpochs, batch, self.images) = (plan.local.epochs, min(plan.local.batch, images), images)
    calibration = plan.method.calibration?.every
    var strategies = [Strategy.endToEnd, .layerWise, .progressive].map { plan.with($0) }
    if calibration != .round { strategies.append(strategies[1].calibratedEveryRound) }
    self.strategies = strategies.map(line)
    growth = Self.growth(plan).map(line)
  }

  /// The plans of the second table: all layers a stage of the paper's that divide the depth, and, a layer at
  /// a time, with depth dropout to as many blocks as the plan says, or to half of them; as far as there are
  /// rounds for every stage.
  private static func growth(_ plan: Plan) -> [Plan] {
    let depth = plan.encoder.depth
    guard plan.encoder.family == .vit, depth > 1 else { return [] }
    let active = plan.method.activeBlocks > 0 ? plan.method.activeBlocks : depth / 2
    let layers = [1, 2, 3, 4, 6].filter {
      $0 < depth && depth % $0 == 0 && depth / $0 <= plan.with(.endToEnd).mostRounds
    }
    let variants = layers.map { ($0, 0) } + (layers.first == 1 ? [(1, active)] : [])
    return [Strategy.layerWise, .progressive].flatMap { strategy in
      variants.map { plan.with(strategy).with(layersPerStage: $0, activeBlocks: $1) }
    }
  }

  /// What the others are compared with.
  package var endToEnd: Line { strategies[0] }
}
