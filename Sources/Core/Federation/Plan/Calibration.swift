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
