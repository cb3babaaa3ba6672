import Certificates
import Engine
import Federation
import Foundation
import Wire

/// What happens at a server, for progress bars and logs.
package enum ServerEvent: Sendable {
  case listening(Endpoint)
  /// A database with committed rounds was found; training goes on after this one.
  case resumed(after: RoundKey)
  /// A round that was under way when the server stopped goes on, with what it had admitted.
  case continued(RoundKey, admitted: Int)
  /// An admitted update did not survive a power cut; its client is asked again.
  case lost(client: String)
  case joined(client: String, peer: String)
  case left(client: String, reason: String)
  /// An update of the round before was admitted to this one.
  case folded(RoundKey, client: String, UpdateOffer)
  /// The certificates were read again; where they cannot be used, the reason, and the old ones stay.
  case reloaded(reason: String?)
  /// Which certificates are revoked cannot be told, and nobody gets in; nil once it can again.
  case revocationsUnknown(reason: String?)
  /// The folder's list lacks revoked certificates that the database knows; they stay revoked.
  case revocationsMissing([CertificateFolder.Revocation], folder: String, database: String)
  /// A new device has fetched its certificate.
  case enrolled(client: String, peer: String)
  /// A client's certificate will not be valid for long.
  case expires(client: String, days: Int)
  /// A certificate of the server's own will not be valid for long, or is not any more.
  case ending(EndingCertificate)
  /// A connection that was never a client's, or that broke the protocol.
  case turnedAway(peer: String, reason: String)
  case recruiting(RoundKey, present: Int, needed: Int)
  case assigned(RoundKey, client: String)
  case progress(client: String, step: Int, steps: Int)
  case admitted(RoundKey, client: String, UpdateOffer)
  case rejected(RoundKey, client: String, Rejection)
  /// A client was rejected so often in a row that it is not asked for some rounds.
  case rests(client: String, rounds: Int)
  /// Some claimed more samples than count, by the plan.
  case cut(RoundKey, clients: [String], to: Int)
  case declined(RoundKey, client: String, reason: String)
  case calibrating(RoundKey, step: Int, steps: Int)
  case committed(RoundSummary)
  case abandoned(RoundKey, reason: String)
  case finished
  /// The linear probe of a round: the share of test images whose class it predicts, 0 … 1.
  case probed(RoundKey, accuracy: Double)
  /// A probe came to nothing; the rounds go on.
  case unprobed(reason: String)
}

/// A committed round.
package struct RoundSummary: Sendable, Hashable, Codable, Measured {
  package let stage: Int
  package let round: Int
  package let seconds: Double
  /// Clients whose updates were admitted.
  package let clients: Int
  package let samples: Int
  package var metrics: RoundMetrics

  /// The clients' mean losses, weighted by their samples.
  package var loss: Double { metrics[.loss] ?? .nan }
}

/// Why a server ends before its job does.
package enum ServerError: Error, Sendable, CustomStringConvertible {
  /// A round was tried as often as the plan allows.
  case gaveUp(RoundKey, reason: String)
  /// The same, because what came of the training was no model, at last too.
  case diverged(RoundKey, reason: String)
  /// The calibration's images cannot be used.
  case calibrationData(String)
  /// The file that the plan's encoder starts from cannot be used.
  case initial(String)
  /// What the database holds does not fit the plan's model.
  case inconsistentStore(String)

  package var description: String {
    switch self {
    case .gaveUp(let key, let reason): "\(key) was given up: \(reason)"
    case .diverged(let key, let reason):
      "\(key) \(reason); try a lower local.learningRate, a higher method.temperature or less local.weightDecay, or a round.normLimit where few clients do so"
    case .calibrationData(let reason): "calibration data: \(reason)"
    case .initial(let reason): "initial: \(reason)"
    case .inconsistentStore(let reason): "the database is inconsistent: \(reason)"
    }
  }
}
