import Engine

extension Plan {
  /// How the encoder grows, and by which loss (docs/method.md).
  package struct Method: Sendable, Hashable, Codable {
    /// Which layers exist, train and travel. Default layer-wise, the method that this project is for.
    package var strategy: Strategy
    /// Blocks that a stage adds. Default 1, the paper's.
    package var layersPerStage: Int
    /// How often the layers are gone through, each time from the first on. Default 1, the paper's.
    package var laps: Int
    /// Rounds of each stage, at most where the curriculum is open. Default 15, the paper's.
    package var roundsPerStage: Rounds
    /// What ends a stage. Default fixed, the paper's.
    package var curriculum: CurriculumKind
    /// Rounds whose mean loss a plateau compares with that of as many before. Default 3: one round's loss is a matter of
    /// who took part in it.
    package var plateauWindow: Int
    /// The share by which the mean loss must fall for a stage to go on. Default 0.01.
    package var plateauImprovement: Float
    /// Rounds that a stage of a plateau has at least. Default 1: the two windows are a least of their own.
    package var leastRounds: Int
    /// How a new layer starts. Default transfer: it starts from features instead of noise.
    package var initialisation: LayerInitialisation
    /// The self-supervised loss. Default simclr: it needs neither a target branch nor a predictor.
    package var ssl: SelfSupervision
    /// mu, how much of the target branch a step keeps (mocov3 and byol). Default 0.99, the paper's.
    package var momentum: Float
    /// Blocks that run at a client at most, the trained ones among them (depth dropout); 0: all. Default 0.
    package var activeBlocks: Int
    /// Divides the similarities in the loss. Default 0.05, the paper's.
    package var temperature: Float
    /// Weight of the representation alignment in the loss; 0 turns it off. Default 0.01: a nudge towards
    /// the global model that does not drown the self-supervised loss.
    package var alignment: Float
    /// Training on the server's own images after aggregation. Default none: it needs such images.
    package var calibration: Calibration?

    package init(
      strategy: Strategy = .layerWise, layersPerStage: Int = 1, laps: Int = 1,
      roundsPerStage: Rounds = .each(15), curriculum: CurriculumKind = .fixed, plateauWindow: Int = 3,
      plateauImprovement: Float = 0.01, leastRounds: Int = 1,
      initialisation: LayerInitialisation = .transfer, ssl: SelfSupervision = .simclr,
      momentum: Float = 0.99, activeBlocks: Int = 0, temperature: Float = 0.05, alignment: Float = 0.01,
      calibration: Calibration? = nil
    ) {
      self.strategy = strategy
      self.layersPerStage = layersPerStage
      self.laps = laps
      self.roundsPerStage = roundsPerStage
      self.curriculum = curriculum
      self.plateauWindow = plateauWindow
      self.plateauImprovement = plateauImprovement
      self.leastRounds = leastRounds
      self.initialisation = initialisation
      self.ssl = ssl
      self.momentum = momentum
      self.activeBlocks = activeBlocks
      self.temperature = temperature
      self.alignment = alignment
      self.calibration = calibration
    }
  }
}

extension Plan.Method {
  /// One number for all stages, or a list with an entry for each.
  package enum Rounds: Sendable, Hashable, Codable {
    case each(Int)
    case list([Int])

    package init(from decoder: any Swift.Decoder) throws {
      let value = try decoder.singleValueContainer()
      do {
        self = .each(try value.decode(Int.self))
      } catch DecodingError.typeMismatch {
        self = .list(try value.decode([Int].self))
      }
    }

    /// A number or a list, as in the plan's file.
    package func encode(to encoder: any Swift.Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .each(let rounds): try value.encode(rounds)
      case .list(let rounds): try value.encode(rounds)
      }
    }
  }
}
