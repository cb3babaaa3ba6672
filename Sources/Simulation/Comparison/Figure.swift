import Pages

/// What a comparison measures of a variant. The raw values are the keys of compare.json.
package enum Figure: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// The most that a client's process had resident, of all stages.
  case memory = "memoryBytes"
  /// Floating-point operations of the average client over the run.
  case operations
  /// Of the average client, counted at the server's socket.
  case bytesUp
  case bytesDown
  case seconds
  case linearProbe
  /// The same before any training.
  case untrainedProbe
  case nearestNeighbours
  case fineTuned

  package var heading: String {
    switch self {
    case .memory: "memory"
    case .operations: "compute"
    case .bytesUp: "upload"
    case .bytesDown: "download"
    case .seconds: "time"
    case .linearProbe: "linear probe"
    case .untrainedProbe: "untrained"
    case .nearestNeighbours: "k-NN"
    case .fineTuned: "fine-tuned"
    }
  }

  package var unit: FigureUnit {
    switch self {
    case .memory, .bytesUp, .bytesDown: .bytes
    case .operations: .operations
    case .seconds: .seconds
    case .linearProbe, .untrainedProbe, .nearestNeighbours, .fineTuned: .share
    }
  }
}
