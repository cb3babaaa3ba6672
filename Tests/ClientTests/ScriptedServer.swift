import Client
import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Wire

extension Plan {
  /// A job of two stages whose model is a few kilobytes.
  static func tiny(epochs: Int = 1) -> Plan {
    var plan = Plan(
      name: "tiny", seed: 7,
      encoder: EncoderConfiguration(
        image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2),
      heads: HeadConfiguration(hidden: 8, output: 4))
    plan.method.roundsPerStage = .each(2)
    plan.local.batch = 8
    plan.local.epochs = epochs
    return plan
  }

  /// A plan whose training does not end during a test, and the number of images for it.
  static let (endless, imagesWithoutEnd) = (Plan.tiny(epochs: 10_000), 4096)

  /// Returns a random first model of a stage.
  func snapshot(stage index: Int = 1) -> Snapshot {
    let stage = stage(index)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }
}

extension Assignment {
  /// Assigns a round of a snapshot's stage.
  init(_ snapshot: Snapshot, round: Int = 1, attempt: Int = 1) {
    self.init(
      key: RoundKey(stage: snapshot.stage.index, round: round, attempt: attempt), seed: 5,
      schedule: .whole, parts: snapshot.manifest, trained: snapshot.stage.parts.map(\.name))
  }
}

/// The server's end of a connection, controlled by the test.
struct ScriptedSession {
  let connection: Connection

  /// Returns the next message; skips heartbeats unless `heartbeats` is true.
  func hear(heartbeats: Bool = false) async throws -> Message {
    while true {
      let message = try await connection.receive()
      if case .heartbeat = message {
        try await connection.send(.heartbeat(Heartbeat()))
        if !heartbeats { continue }
      }
      return message
    }
  }

  func send(_ message: Message) async throws { try await connection.send(message) }

  /// Answers fetches until another message arrives. Returns the fetched layers and that message.
  func serve(_ snapshot: Snapshot) async throws -> (fetched: [Digest], Message) {
    var fetched: [Digest] = []
    while true {
      let message = try await hear()
      guard case .fetch(let fetch) = message else { return (fetched, message) }
      guard let weights = snapshot.data(fetch.digest) else {
        throw Unexpected("a fetch of \(fetch.digest)")
      }
      fetched.append(fetch.digest)
      let half = weights.count / 2
      for range in [0..<half, half..<weights.count] {
        try await send(
          .layer(
            LayerData(digest: fetch.digest, offset: range.lowerBound, total: weights.count),
            Data(weights[range])))
      }
    }
  }

  /// Returns the bytes of an offered update.
  func collect(_ offer: UpdateOffer) async throws -> Data {
    try await send(.request(UpdateRequest(key: offer.key, digest: offer.digest)))
    var update = Data()
    while update.count < offer.bytes {
      guard case .update(let head, let bytes) = try await hear(), head.digest == offer.digest,
        head.offset == update.count
      else { throw Unexpected("no piece of the update") }
      update += bytes
    }
    return update
  }
}

/// A server whose messages are those of the test, and a real client connected to it.
struct ScriptedServer {
  let listener: Listener
  let events: EventLog<ClientEvent>
  /// The client's folder.
  let state: URL
  /// The client's run.
  let running: Task<Void, any Error>
  private let plan: Plan

  /// Accepts the next connection, receives the hello and sends the welcome.
  func welcome(
    heartbeatSeconds: Double = Double(WireLimits.heartbeatSeconds), chunkBytes: Int = 1000
  ) async throws -> ScriptedSession {
    let session = ScriptedSession(connection: try await listener.accept(limit: WireLimits.frame))
    guard case .hello(let hello) = try await session.hear(), hello.name == "a" else {
      throw Unexpected("no hello")
    }
    try await session.send(
      .welcome(Welcome(plan: plan, heartbeatSeconds: heartbeatSeconds, chunkBytes: chunkBytes)))
    return session
  }

  /// Returns the result of the client's run.
  func result() async -> Result<Void, any Error> {
    await withTaskCancellationHandler {
      await running.result
    } onCancel: {
      running.cancel()
    }
  }

  /// Ends the session normally.
  func finish(_ session: ScriptedSession) async throws {
    try await session.send(.goodbye(Goodbye(.finished)))
    try await result().get()
    await session.connection.close()
  }

  fileprivate init(_ plan: Plan, _ listener: Listener, _ events: EventLog<ClientEvent>, _ client: Client) {
    (self.plan, self.listener, self.events) = (plan, listener, events)
    state = client.state
    running = Task { try await client.run() }
  }
}

/// Runs `body` with a client of eight images, or of other examples, in a temporary folder.
func withClient<Result>(
  _ plan: Plan, images: Int = 8, of set: ImageSet? = nil, validation: ImageSet? = nil,
  nodes: NodeSet? = nil, validationNodes: NodeSet? = nil,
  patience: Duration = Unhurried.limit,
  silence: Duration = Unhurried.limit, limits: ResourceLimits = ResourceLimits(),
  _ body: (ScriptedServer) async throws -> Result
) async throws -> Result {
  try await withTemporaryFolder { folder in
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    let events = EventLog<ClientEvent>()
    let images = Dataset.images(
      set ?? Shapes.generate(count: images, size: 8, channels: 1, seed: 1, role: .train))
    let set = nodes.map { Dataset.nodes($0) } ?? images
    var validationExamples: (@Sendable (Plan) throws -> Dataset)?
    if let validation { validationExamples = { _ in .images(validation) } }
    if let validationNodes { validationExamples = { _ in .nodes(validationNodes) } }
    var configuration = Client.Configuration(
      server: listener.endpoint, name: "a", state: folder, patience: patience)
    (configuration.limits, configuration.silence) = (limits, silence)
    let server = ScriptedServer(
      plan, listener, events,
      Client(
        configuration, validationExamples: validationExamples, examples: { _ in set },
        observer: events.note))
    defer {
      listener.shutDown()
      listener.close()
    }
    let result: Swift.Result<Result, any Error>
    do { result = .success(try await body(server)) } catch { result = .failure(error) }
    server.running.cancel()
    _ = await server.running.result
    return try result.get()
  }
}
