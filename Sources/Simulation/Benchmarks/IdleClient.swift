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
    /// As it travels: its frames are made once, and sent by all.
    struct Update: Sendable {
      let round: Int
      let digest: Digest
      let frames: [OutgoingFrame]
    }

    /// Of an update.
    let bytes: Int
    private let clients: Int
    /// Bytes that the server wants in a frame.
    private let chunk: Int
    private let latest: Mutex<(bytes: Data, update: Update?)>
    /// Verdicts that have come in the latest round.
    private let verdicts = Mutex(0)

    /// For models of so many bytes, and so many clients.
    init(bytes: Int, clients: Int) {
      (self.bytes, self.clients, chunk) = (bytes, clients, WireLimits.chunk(clients: clients))
      latest = Mutex((Data(count: bytes), nil))
    }

    /// A verdict has come. The last of a round makes the next one's update, while the server has its own work: as training
    /// would, that keeps no other client waiting.
    func finish(_ round: Int) throws {
      let isLast = verdicts.withLock { verdicts in
        verdicts = (verdicts + 1) % clients
        return verdicts == 0
      }
      if isLast { _ = try update(round + 1) }
    }

    func update(_ round: Int) throws -> Update {
      try latest.withLock { latest in
        if let update = latest.update, update.round == round { return update }
        // The frames let go of the bytes, which are written anew in their place.
        latest.update = nil
        latest.bytes.withUnsafeMutableBytes { $0.bindMemory(to: Float.self).update(repeating: Float(round)) }
        let (bytes, digest) = (latest.bytes, Digest(of: latest.bytes))
        let frames = try stride(from: 0, to: bytes.count, by: chunk).map { start in
          let piece = bytes[start..<min(start + chunk, bytes.count)]
          return try OutgoingFrame(.update(UpdateData(digest: digest, offset: start), piece))
        }
        let update = Update(round: round, digest: digest, frames: frames)
        latest.update = update
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
    var (times, missing) = (Times(), 0)
    var assignment: Assignment?
    try await connection.send(.hello(Hello(name: name, software: "bench")))
    while true {
      switch try await connection.receive() {
      case .assignment(let next):
        times.first = times.first ?? .now
        (assignment, missing) = (next, next.parts.reduce(0) { $0 + $1.bytes })
        for part in next.parts { try await connection.send(.fetch(Fetch(digest: part.digest))) }
      case .layer(_, let bytes):
        missing -= bytes.count
        if missing == 0, let assignment { try await connection.send(.offer(try offer(assignment))) }
      case .request(let request):
        for frame in try updates.update(request.key.round).frames { try await connection.send(frame) }
      case .acknowledgement(let verdict):
        if let rejection = verdict.rejection { throw WireError.malformed(rejection.explanation) }
        times.last = .now
        try updates.finish(verdict.key.round)
      case .goodbye:
        await connection.close()
        return times
      default: break
      }
    }
  }

  private func offer(_ assignment: Assignment) throws -> UpdateOffer {
    let update = try updates.update(assignment.key.round)
    return UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: update.digest,
      bytes: updates.bytes, samples: 100, steps: 1, loss: 1, seconds: 0)
  }
}
