import Engine
import Support

extension Plan {
  /// The settings of a client's training in a round.
  package struct LocalTraining: Sendable, Hashable, Codable {
    /// The number of passes over the client's images. Default 3, as in the paper.
    package var epochs: Int
    /// The number of images per step. Default 256: the learning rate is defined for it, and it fits on small devices.
    package var batch: Int
    /// The base learning rate for a batch of 256. Default 1.5e-4, as in the paper.
    package var learningRate: Float
    /// The weight decay: AdamW's decoupled one, or that in the gradient of SGD and LARS. Default 1e-5, as in the paper.
    package var weightDecay: Float
    /// The schedule of the learning rate within a stage. Default constant, as in the paper.
    package var schedule: LearningRateSchedule.Kind
    /// The rounds of linear warm-up at the begin of each stage. Default 0, as in the paper.
    package var warmup: Float
    /// The rule of the optimiser. Default adamw, as in the paper.
    package var optimizer: OptimiserKind
    /// The share of the last step that SGD and LARS keep. Default 0.9, as in their papers.
    package var momentum: Float
    /// The trust coefficient of LARS. Default 0.001, as in its paper.
    package var trustCoefficient: Float
    /// The weight rho of FedProx, which penalises the distance from the round's global weights. Default 0 (off), as in
    /// the paper.
    package var proximal: Float

    /// The number of fixed views of each image, even; an epoch uses two of them, and the frozen prefix's outputs for
    /// them are kept in a file. 0 draws new views every epoch. Default 0, as in the paper.
    package var views: Int
    /// What a client's training sees of its graph. Default transductive; the authors of L2-GCN train inductively.
    package var setting: Setting
    /// The numbers of neighbours that a step samples of a node of the batch, of one of these, and so on. Default 10 and 5,
    /// as in LRGI; nil for the whole graph in each step.
    package var neighbours: [Int]?
    /// The maximum resident memory of a client's process. Default nil, unlimited: the operator of a device can set a
    /// limit at the client.
    package var memory: ByteCount?

    package init(
      epochs: Int = 3, batch: Int = 256, learningRate: Float = 1.5e-4, weightDecay: Float = 1e-5,
      schedule: LearningRateSchedule.Kind = .constant, warmup: Float = 0,
      optimizer: OptimiserKind = .adamw, momentum: Float = 0.9, trustCoefficient: Float = 0.001,
      proximal: Float = 0,
      views: Int = 0, setting: Setting = .transductive, neighbours: [Int]? = [10, 5],
      memory: ByteCount? = nil
    ) {
      self.epochs = epochs
      self.batch = batch
      self.learningRate = learningRate
      self.weightDecay = weightDecay
      self.schedule = schedule
      self.warmup = warmup
      self.optimizer = optimizer
      self.momentum = momentum
      self.trustCoefficient = trustCoefficient
      self.proximal = proximal
      self.views = views
      self.setting = setting
      self.neighbours = neighbours
      self.memory = memory
    }

    /// What a training sees of a graph.
    package enum Setting: String, Sendable, Codable, CaseIterable {
      /// All nodes; the loss is that of training nodes.
      case transductive
      /// The subgraph of the training nodes.
      case inductive
    }

    /// The learning rate of a step: base x batch / 256, so that it does not have to change with the batch size.
    package var scaledRate: Float { learningRate * Float(batch) / 256 }
  }
}

extension Plan {
  /// Training of the whole current model on the server's images, after aggregation.
  package struct Calibration: Sendable, Hashable, Codable {
    /// The server's images: a data SPEC such as "shapes:512". No default.
    package var data: String
    /// The number of epochs over those images. Default 1: every round repeats it, and more would override the clients'
    /// training.
    package var epochs: Int
    /// The interval of calibration. Default every round, as in the paper.
    package var every: Interval

    package init(data: String, epochs: Int = 1, every: Interval = .round) {
      self.data = data
      self.epochs = epochs
      self.every = every
    }

    /// Returns whether calibration follows this round of a stage; rounds start at 1.
    package func isDue(round: Int, of rounds: Int) -> Bool {
      switch every {
      case .round: true
      case .rounds(let interval): round % interval == 0
      case .stage: round == rounds
      }
    }
  }
}

extension Plan.Calibration {
  /// The interval of calibration.
  package enum Interval: Sendable, Hashable, Codable, CustomStringConvertible {
    /// After every round.
    case round
    /// After every n-th round of a stage, n > 0.
    case rounds(Int)
    /// After the last round of a stage.
    case stage

    /// The form in the plan's file: `round`, a number or `stage`.
    package var description: String {
      switch self {
      case .round: "round"
      case .rounds(let interval): "\(interval)"
      case .stage: "stage"
      }
    }

    /// Parses one of the three forms; nil for other text.
    package init?(_ text: String) {
      switch text {
      case "round": self = .round
      case "stage": self = .stage
      default:
        guard let interval = Int(text), interval > 0 else { return nil }
        self = .rounds(interval)
      }
    }

    package init(from decoder: any Swift.Decoder) throws {
      let value = try decoder.singleValueContainer()
      let text = try value.decode(String.self)
      guard let interval = Self(text) else {
        throw DecodingError.dataCorruptedError(in: value, debugDescription: "no interval: \(text)")
      }
      self = interval
    }

    package func encode(to encoder: any Swift.Encoder) throws {
      var value = encoder.singleValueContainer()
      try value.encode(description)
    }
  }
}
