import Datasets
import Federation
import Wire

/// The reason why a client ends. Each case has an exit code (README).
package enum ClientError: Error, Sendable, CustomStringConvertible {
  /// The images cannot be used.
  case data(String)
  /// The server cannot be reached.
  case connection(String)
  /// The server's certificate cannot be verified.
  case distrusted(String)
  /// The client's certificate is not valid any more.
  case certificate(String)
  /// The server rejected the client, or ended the job.
  case turnedAway(String)
  /// The server sent something invalid.
  case server(String)
  /// A stage does not fit into the client's memory limit.
  case memory(String)
  /// The client's folder cannot be used.
  case state(String)

  package var description: String {
    switch self {
    case .data(let reason): reason
    case .connection(let reason): "the server cannot be reached: \(reason)"
    case .distrusted(let reason), .certificate(let reason): reason
    case .turnedAway(let reason): "the server rejected this client: \(reason)"
    case .server(let reason): "the server sent an invalid message: \(reason)"
    case .memory(let reason): reason
    case .state(let reason): reason
    }
  }
}

extension ClientError {
  /// The error of a client for a failure of its connection.
  init(_ error: WireError) {
    switch error {
    case .tls(.rejected(let reason)): self = .certificate(reason)
    case .tls(.distrusted(let reason)): self = .distrusted(reason)
    default: self = .connection(error.description)
    }
  }
}

/// An event at a client, for progress bars and logs.
package enum ClientEvent: Sendable {
  case connected(Endpoint)
  case welcomed(plan: String)
  case assigned(RoundKey, missing: Int, bytes: Int)
  /// A layer on disk is damaged; the client fetches it again.
  case damaged(Digest)
  /// The images that the exits of a cascade have left for the round's stage, of all images of the client.
  case selected(RoundKey, images: Int, of: Int)
  /// The resident memory that the training will need; none of it is allocated yet.
  case planned(RoundKey, bytes: Int)
  case training(RoundKey, step: Int, steps: Int, loss: Float)
  case trained(RoundKey, UpdateOffer)
  /// The training diverged at a step: its numbers are not finite, or far too large. The client offers the update
  /// nevertheless; the server rejects it and records why.
  case diverged(RoundKey, step: Int, steps: Int)
  /// The client offers again the update that it trained before a crash or a lost connection.
  case offersAgain(RoundKey)
  case judged(Acknowledgement)
  /// The client has reported the accuracy of a model on its own images.
  case validated(Validation)
  /// A validation failed; the training goes on.
  case unvalidated(RoundKey, reason: String)
  case dropped(RoundKey)
  /// The client declines a round, or gives up one that it has begun.
  case declined(RoundKey, reason: String)
  /// The training is paused and resumes automatically.
  case paused(RoundKey, reason: String)
  case resumed(RoundKey)
  case disconnected(reason: String)
  case finished
}
