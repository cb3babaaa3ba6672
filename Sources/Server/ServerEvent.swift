import Certificates
import Engine
import Federation
import Foundation
import Wire

/// An event at a server, for progress bars and logs.
package enum ServerEvent: Sendable {
  case listening(Endpoint)
  /// The database has committed rounds; training continues after this one.
  case resumed(after: RoundKey)
  /// An unfinished round continues after a restart, with its admitted updates.
  case continued(RoundKey, admitted: Int)
  /// An admitted update was lost in a power failure; its client is asked again.
  case lost(client: String)
  case joined(client: String, peer: String)
  case left(client: String, reason: String)
  /// An update of the previous round was admitted to this one.
  case folded(RoundKey, client: String, UpdateOffer)
  /// The certificates were read again. If they cannot be used, `reason` says why and the old ones stay in use.
  case reloaded(reason: String?)
  /// The revoked certificates are unknown, and no client is admitted; nil when they are known again.
  case revocationsUnknown(reason: String?)
  /// The folder's list lacks revoked certificates that are in the database; they stay revoked.
  case revocationsMissing([CertificateFolder.Revocation], folder: String, database: String)
  /// A new device has fetched its certificate.
  case enrolled(client: String, peer: String)
  /// A client's certificate expires soon.
  case expires(client: String, days: Int)
  /// A certificate of the server or its authority expires soon or has expired.
  case ending(EndingCertificate)
  /// A connection was closed before its peer became a client, or because it violated the protocol.
  case turnedAway(peer: String, reason: String)
  case recruiting(RoundKey, present: Int, needed: Int)
  case assigned(RoundKey, client: String)
  case progress(client: String, step: Int, steps: Int)
  case admitted(RoundKey, client: String, UpdateOffer)
  case rejected(RoundKey, client: String, Rejection)
  /// A client was rejected several times in a row and is not asked for some rounds.
  case rests(client: String, rounds: Int)
  /// Some clients claimed more samples than the plan allows.
  case cut(RoundKey, clients: [String], to: Int)
  case declined(RoundKey, client: String, reason: String)
  /// A client has reported a validation of the model that it was assigned in a round.
  case validated(RoundKey, client: String, Validation)
  case calibrating(RoundKey, step: Int, steps: Int)
  case committed(RoundSummary)
  case abandoned(RoundKey, reason: String)
  /// The job ends before this round's stage: a cascade has left fewer images than a batch.
  case grown(RoundKey, images: Int, batch: Int)
  case finished
  /// The linear probe of a round: its accuracy on the test images, 0 … 1. In a classification also the results of the
  /// model's exits on them.
  case probed(RoundKey, accuracy: Double, exits: ExitEvaluation.Result? = nil)
  /// The layers of a round's model were analysed (``LayerAnalysis``).
  case analysed(RoundKey, layers: Int, samples: Int)
  /// A probe failed; the rounds continue.
  case unprobed(reason: String)
}

/// A committed round.
package struct RoundSummary: Sendable, Hashable, Codable, Measured {
  package let stage: Int
  package let round: Int
  package let seconds: Double
  /// The number of clients whose updates were admitted.
  package let clients: Int
  package let samples: Int
  package var metrics: RoundMetrics

  /// The mean of the clients' losses, weighted by their samples; not a number without clients.
  package var loss: Double { metrics[.loss] ?? .nan }

  package init(
    stage: Int, round: Int, seconds: Double, clients: Int, samples: Int, metrics: RoundMetrics
  ) {
    (self.stage, self.round, self.seconds) = (stage, round, seconds)
    (self.clients, self.samples, self.metrics) = (clients, samples, metrics)
  }
}

/// The metrics are fields beside the others.
extension RoundSummary {
  private enum Field: String, CodingKey { case stage, round, seconds, clients, samples }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Field.self)
    stage = try values.decode(Int.self, forKey: .stage)
    round = try values.decode(Int.self, forKey: .round)
    seconds = try values.decode(Double.self, forKey: .seconds)
    clients = try values.decode(Int.self, forKey: .clients)
    samples = try values.decode(Int.self, forKey: .samples)
    metrics = try RoundMetrics(from: decoder)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Field.self)
    try values.encode(stage, forKey: .stage)
    try values.encode(round, forKey: .round)
    try values.encode(seconds, forKey: .seconds)
    try values.encode(clients, forKey: .clients)
    try values.encode(samples, forKey: .samples)
    try metrics.encode(to: encoder)
  }
}

/// The reason why a server ends before its job is finished.
package enum ServerError: Error, Sendable, CustomStringConvertible {
  /// The last permitted attempt at a round failed.
  case gaveUp(RoundKey, reason: String)
  /// The last permitted attempt failed because the training diverged.
  case diverged(RoundKey, reason: String)
  /// The calibration images cannot be used.
  case calibrationData(String)
  /// The file with the encoder's initial weights cannot be used.
  case initial(String)
  /// The file of the learned controller cannot be used.
  case controller(String)
  /// The content of the database does not fit the plan's model.
  case inconsistentStore(String)

  package var description: String {
    switch self {
    case .gaveUp(let key, let reason): "\(key) was given up: \(reason)"
    case .diverged(let key, let reason):
      "\(key) \(reason); try a lower local.learningRate, a higher method.temperature or less local.weightDecay, or a round.normLimit if few clients diverge"
    case .calibrationData(let reason): "calibration data: \(reason)"
    case .initial(let reason): "initial: \(reason)"
    case .controller(let reason): "method.stageEnd.model: \(reason)"
    case .inconsistentStore(let reason): "the database is inconsistent: \(reason)"
    }
  }
}
