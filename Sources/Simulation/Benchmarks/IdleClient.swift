import Federation
import Foundation
import Synchronization
import Wire

/// A client that follows the protocol but does not train. It uses as little of the machine as possible, so that the
/// server can be measured.
struct IdleClient: Sendable {
  let name: String
  let server: Endpoint
  let updates: Updates

  /// The update that all such clients send in a round: one number, repeated for each weight of the model.
  final class Updates: Sendable {
    /// An update as sent. Its frames are made once and shared by all clients.
    struct Update: Sendable {
      let round: Int
      let digest: Digest
      let frames: [OutgoingFrame]
    }

    /// The bytes of an update.
    let bytes: Int
    private let clients: Int
    /// The frame size that the server requests.
    private let chunk: Int
    private let latest: Mutex<(bytes: Data, update: Update?)>
    /// The number of verdicts received in the latest round.
    private let verdicts = Mutex(0)

    /// Creates updates for a model of `bytes` bytes and `clients` clients.
    init(bytes: Int, clients: Int) {
      (self.bytes, self.clients, chunk) = (bytes, clients, WireLimits.chunk(clients: clients))
      latest = Mutex((Data(count: bytes), nil))
    }

    /// Counts a verdict. The last one of a round makes the update of the next round, while the server is busy. Like a
    /// training, this keeps no other client waiting.
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
        // Releases the frames' reference to the bytes, so that they are overwritten in place.
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

  /// The times of the first assignment and the last verdict.
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

  /// Takes part until the end of the job. Throws if the server rejects its update.
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
