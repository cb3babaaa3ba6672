import TestSupport
import Engine
import Federation
import Foundation
import Wire

/// A client that follows the protocol without training; its updates are invented.
actor ScriptedClient {
  /// The messages of a client in one round.
  struct Turn: Sendable {
    let assignment: Assignment
    let weights: [Digest: Data]
    let samples: Int
    let update: Data
  }

  let name: String
  let connection: Connection
  /// Messages received while waiting for another.
  private var early: [Message] = []

  /// Connects and sends a hello.
  init(_ name: String, at endpoint: Endpoint) async throws {
    self.name = name
    connection = try await Connection.connect(to: endpoint, limit: WireLimits.frame)
    try await connection.send(.hello(Hello(name: name, software: "test")))
  }

  /// Connects, sends a hello and receives the welcome.
  static func welcome(_ name: String, at endpoint: Endpoint) async throws -> ScriptedClient {
    let client = try await ScriptedClient(name, at: endpoint)
    guard case .welcome = try await client.hear() else { throw Unexpected("no welcome") }
    return client
  }

  /// Returns the next message except heartbeats.
  func hear() async throws -> Message {
    if !early.isEmpty { return early.removeFirst() }
    return try await listen()
  }

  private func listen() async throws -> Message {
    while true {
      let message = try await connection.receive()
      if case .heartbeat = message { continue }
      return message
    }
  }

  /// Returns the next assignment, or nil on a goodbye; skips a release.
  func assignment() async throws -> Assignment? {
    while true {
      switch try await hear() {
      case .assignment(let assignment): return assignment
      case .goodbye: return nil
      case .release: continue
      case let message: throw Unexpected("\(name) heard \(message.name)")
      }
    }
  }

  func requireAssignment() async throws -> Assignment {
    guard let assignment = try await assignment() else { throw Unexpected("\(name): goodbye") }
    return assignment
  }

  /// Returns the weights of a version, fetched in pieces.
  func fetch(_ version: PartVersion) async throws -> Data {
    try await connection.send(.fetch(Fetch(digest: version.digest)))
    var weights = Data()
    while weights.count < version.bytes {
      guard case .layer(let head, let bytes) = try await hear(), head.digest == version.digest,
        head.offset == weights.count, head.total == version.bytes, !bytes.isEmpty
      else { throw Unexpected("\(name): no piece of \(version.name)") }
      weights += bytes
    }
    guard Digest(of: weights) == version.digest else { throw Unexpected("a wrong digest") }
    return weights
  }

  /// Returns a valid offer of invented bytes.
  nonisolated func offer(_ assignment: Assignment, _ update: Data, samples: Int = 10) -> UpdateOffer {
    UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: update),
      bytes: update.count, samples: samples, steps: 1, loss: 1, seconds: 0.5)
  }

  /// Returns an update of the right length with equal floats.
  nonisolated func update(_ assignment: Assignment, value: Float = 0.5) -> Data {
    let bytes = assignment.parts.filter { assignment.trained.contains($0.name) }.reduce(0) { $0 + $1.bytes }
    return [Float](repeating: value, count: bytes / 4).data
  }

  /// Offers an update and sends what the server requests. Returns the verdict: nil if it is admitted.
  func submit(_ offer: UpdateOffer, _ update: Data) async throws -> Rejection? {
    try await connection.send(.offer(offer))
    switch try await hear() {
    case .request(let request):
      try await upload(update, as: offer.digest, from: request.offset)
      while true {
        let message = try await listen()
        if case .acknowledgement(let verdict) = message, verdict.key == offer.key { return verdict.rejection }
        // Messages that follow from the verdict may arrive before it.
        early.append(message)
      }
    case .acknowledgement(let verdict): return verdict.rejection
    case let message: throw Unexpected("\(name) heard \(message.name) to an offer")
    }
  }

  func upload(_ update: Data, as digest: Digest, from offset: Int = 0) async throws {
    for start in stride(from: offset, to: update.count, by: WireLimits.chunk) {
      let piece = Data(update[start..<min(start + WireLimits.chunk, update.count)])
      try await connection.send(.update(UpdateData(digest: digest, offset: start), piece))
    }
  }

  /// Takes part until the end of the job. An update is the round's weights plus a constant; `turn(round)` is awaited
  /// before each offer.
  func takePart(
    samples: Int, adding constant: Float, before turn: @Sendable (Assignment) async throws -> Void = { _ in }
  ) async throws -> [Turn] {
    var turns: [Turn] = []
    while let assignment = try await assignment() {
      var weights: [Digest: Data] = [:]
      for version in assignment.parts { weights[version.digest] = try await fetch(version) }
      let base = assignment.parts.filter { assignment.trained.contains($0.name) }
        .reduce(into: Data()) { $0 += weights[$1.digest] ?? Data() }
      let update = base.floats.map { $0 + constant }.data
      try await turn(assignment)
      if let rejection = try await submit(offer(assignment, update, samples: samples), update) {
        throw Unexpected("\(name): \(rejection)")
      }
      turns.append(Turn(assignment: assignment, weights: weights, samples: samples, update: update))
    }
    await connection.close()
    return turns
  }
}

extension Data {
  /// The bytes as float32 numbers.
  var floats: [Float] {
    withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 4).map { bytes.loadUnaligned(fromByteOffset: $0, as: Float.self) }
    }
  }
}

extension [Float] {
  var data: Data { withUnsafeBytes { Data($0) } }
}
