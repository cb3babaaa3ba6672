import Federation
import Foundation
import Synchronization
import Wire

/// A client that says what others say and trains nothing. It takes as little of the machine as it can, which is
/// there for the server that is measured.
struct IdleClient: Sendable {
  let name: String
  let server: Endpoint
  let updates: Updates

  /// What all such clients send in a round: one number, as often as the model has weights.
  final class Updates: Sendable {
    typealias Update = (bytes: Data, digest: Digest)
    private let count: Int
    private let latest = Mutex<(round: Int, update: Update)?>(nil)

    /// For models of so many bytes.
    init(bytes: Int) { count = bytes / 4 }

    subscript(round: Int) -> Update {
      latest.withLock { latest in
        if let latest, latest.round == round { return latest.update }
        let bytes = [Float](repeating: Float(round), count: count).withUnsafeBytes { Data($0) }
        let update = (bytes, Digest(of: bytes))
        latest = (round, update)
        return update
      }
    }
  }

  /// When the first assignment came and the last verdict.
  struct Times: Sendable {
    var first: ContinuousClock.Instant?
    var last: ContinuousClock.Instant?

    mutating func join(_ other: Times) {
      first = [first, other.first].compactMap(\.self).min()
      last = [last, other.last].compactMap(\.self).max()
    }

    var length: Duration {
      guard let first, let last else { return .zero }
      return last - first
    }
  }

  /// Takes part to the job's end. Throws where the server does not take what it offers.
  func run() async throws -> Times {
    let connection = try await Connection.connect(to: server, limit: WireLimits.frame)
    var (times, chunk, missing): (Times, Int, Int) = (Times(), WireLimits.chunk, 0)
    var assignment: Assignment?
    try await connection.send(.hello(Hello(name: name, software: "bench")))
    while true {
      switch try await connection.receive() {
      case .welcome(let welcome): chunk = welcome.chunkBytes
      case .assignment(let next):
        times.first = times.first ?? .now
        (assignment, missing) = (next, next.parts.reduce(0) { $0 + $1.bytes })
        for part in next.parts { try await connection.send(.fetch(Fetch(digest: part.digest))) }
      case .layer(_, let bytes):
        missing -= bytes.count
        if missing == 0, let assignment { try await connection.send(.offer(offer(assignment))) }
      case .request(let request):
        let bytes = updates[request.key.round].bytes
        for start in stride(from: request.offset, to: bytes.count, by: chunk) {
          let piece = bytes[start..<min(start + chunk, bytes.count)]
          try await connection.send(.update(UpdateData(digest: request.digest, offset: start), piece))
        }
      case .acknowledgement(let verdict):
        if let refusal = verdict.refusal { throw WireError.malformed(refusal.explanation) }
        times.last = .now
      case .goodbye:
        await connection.close()
        return times
      default: break
      }
    }
  }

  private func offer(_ assignment: Assignment) -> UpdateOffer {
    let update = updates[assignment.key.round]
    return UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: update.digest,
      bytes: update.bytes.count, samples: 100, steps: 1, loss: 1, seconds: 0)
  }
}
