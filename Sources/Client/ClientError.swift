import Datasets
import Federation
import Wire

/// Why a client ends; each case has an exit code of its own (README).
package enum ClientError: Error, Sendable, CustomStringConvertible {
  /// The images cannot be used.
  case data(String)
  /// The server cannot be reached, or stays away.
  case connection(String)
  /// The server that answers is not believed: its certificate is not the right one.
  case distrusted(String)
  /// The client's own certificate is not good any more.
  case certificate(String)
  /// The server turned the client away, or gave the job up.
  case turnedAway(String)
  /// The server says what makes no sense.
  case server(String)
  /// A stage does not fit into the memory that the client may have.
  case memory(String)
  /// The client's own folder cannot be used.
  case state(String)

  package var description: String {
    switch self {
    case .data(let reason): reason
    case .connection(let reason): "the server cannot be reached: \(reason)"
    case .distrusted(let reason), .certificate(let reason): reason
    case .turnedAway(let reason): "the server turned this client away: \(reason)"
    case .server(let reason): "the server makes no sense: \(reason)"
    case .memory(let reason): reason
    case .state(let reason): reason
    }
  }
}

extension ClientError {
  /// What it means that a connection failed.
  init(_ error: WireError) {
    switch error {
    case .tls(.rejected(let reason)): self = .certificate(reason)
    case .tls(.distrusted(let reason)): self = .distrusted(reason)
    default: self = .connection(error.description)
    }
  }
}

/// What happens at a client, for progress bars and logs.
package enum ClientEvent: Sendable {
  case connected(Endpoint)
  case welcomed(plan: String)
  case assigned(RoundKey, missing: Int, bytes: Int)
  /// A layer on the disk was damaged; it is fetched again.
  case damaged(Digest)
  /// What the training will have resident; nothing of it is allocated yet.
  case planned(RoundKey, bytes: Int)
  case training(RoundKey, step: Int, steps: Int, loss: Float)
  case trained(RoundKey, UpdateOffer)
  /// The training came to numbers that are not finite, or absurdly large, at a step; its update is offered all the same,
  /// and the server rejects it and knows why.
  case diverged(RoundKey, step: Int, steps: Int)
  /// The update that was trained before a crash or a lost connection is offered again.
  case offersAgain(RoundKey)
  case judged(Acknowledgement)
  case dropped(RoundKey)
  /// The client will not train in a round, or gives up what it had begun.
  case declined(RoundKey, reason: String)
  /// The training stands still; it goes on by itself.
  case paused(RoundKey, reason: String)
  case resumed(RoundKey)
  case disconnected(reason: String)
  case finished
}
