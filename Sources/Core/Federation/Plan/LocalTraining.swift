import Engine
import Support

extension Plan {
  /// What a client does in a round.
  package struct LocalTraining: Sendable, Hashable, Codable {
    /// Passes over the client's images. Default 3, the paper's.
    package var epochs: Int
    /// Images a step. Default 256: the rate is quoted for it, and a small device still holds it.
    package var batch: Int
    /// Base learning rate, for a batch of 256. Default 1.5e-4, the paper's.
    package var learningRate: Float
    /// AdamW's decoupled weight decay. Default 1e-5, the paper's.
    package var weightDecay: Float
    /// How the rate moves inside a stage. Default constant, the paper's.
    package var schedule: LearningRateSchedule.Kind
    /// rho of FedProx: weight of the pull towards the round's global weights. Default 0, off, the paper's.
    package var proximal: Float

    /// Fixed views of each image, of which an epoch takes two; the frozen prefix's outputs for them are kept
    /// in a file. Even; 0 draws fresh views every epoch. Default 0, the paper's.
    package var views: Int
    /// What a client's process may have resident. Default nil, unlimited: a device's operator knows better, and
    /// can say so to the client.
    package var memory: ByteCount?

    package init(
      epochs: Int = 3, batch: Int = 256, learningRate: Float = 1.5e-4, weightDecay: Float = 1e-5,
      schedule: LearningRateSchedule.Kind = .constant, proximal: Float = 0,
      views: Int = 0, memory: ByteCount? = nil
    ) {
      self.epochs = epochs
      self.batch = batch
      self.learningRate = learningRate
      self.weightDecay = weightDecay
      self.schedule = schedule
      self.proximal = proximal
      self.views = views
      self.memory = memory
    }

    /// The learning rate of a step: base x batch / 256, so that a plan survives a change of batch.
    package var scaledRate: Float { learningRate * Float(batch) / 256 }
  }
}

extension Plan {
  /// Training of the whole sub-model on the server's own images, after aggregation.
  package struct Calibration: Sendable, Hashable, Codable {
    /// The server's images: a data SPEC such as "shapes:512". No default: they are the server's to name.
    package var data: String
    /// Epochs over those images. Default 1: every round repeats it, and more would forget the clients.
    package var epochs: Int
    /// When it happens. Default every round, the paper's.
    package var every: Interval

    package init(data: String, epochs: Int = 1, every: Interval = .round) {
      self.data = data
      self.epochs = epochs
      self.every = every
    }

    /// Whether it follows this round of a stage; both count from 1.
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
  /// How often calibration happens.
  package enum Interval: Sendable, Hashable, Codable, CustomStringConvertible {
    /// After every round.
    case round
    /// After every n-th round of a stage, n > 0.
    case rounds(Int)
    /// After the last round of a stage.
    case stage

    /// As in the plan's file: `round`, a number or `stage`.
    package var description: String {
      switch self {
      case .round: "round"
      case .rounds(let interval): "\(interval)"
      case .stage: "stage"
      }
    }

    /// Nil for a text that says none of the three.
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
