import Certificates
import Client
import Datasets
import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ClientTests {
  private func client(
    _ endpoint: Endpoint, _ folder: URL, patience: Duration,
    observer: @escaping @Sendable (ClientEvent) -> Void = { _ in }
  ) -> Client {
    let images = Shapes.generate(count: 8, size: 8, channels: 1, seed: 1, role: .train)
    var configuration = Client.Configuration(server: endpoint, name: "a", state: folder, patience: patience)
    configuration.backoff = Backoff { 1 }
    return Client(configuration, examples: { _ in .images(images) }, observer: observer)
  }

  @Test func aServerThatIsNotThereIsGivenUpAfterThePatience() async throws {
    let endpoint = try await Endpoint.closed()
    try await withTemporaryFolder { folder in
      let events = EventLog<ClientEvent>()
      let error = await #expect(throws: ClientError.self) {
        try await client(endpoint, folder, patience: .seconds(2), observer: events.note).run()
      }
      guard case .connection(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason.contains("\(endpoint)"))
      // Pauses of 100, 200, 400 and 800 ms; the next one would exceed the patience.
      let attempts = events.all.count { if case .disconnected = $0 { true } else { false } }
      #expect((1...5).contains(attempts), "\(attempts)")
    }
  }

  /// The server would reject it, but its alert does not always arrive.
  @Test func aClientWhoseCertificateHasEndedDoesNotConnect() async throws {
    let endpoint = try await Endpoint.closed()
    try await withTemporaryFolder { folder in
      let authority = CertificateFolder(folder.appendingPathComponent("server"))
      _ = try authority.createAuthority("test", days: 1)
      let own = ClientCertificate(folder.appendingPathComponent("own"))
      let certificate = try authority.createClient("a", days: -1, in: own)
      var configuration = Client.Configuration(server: endpoint, name: "a", state: folder)
      configuration.certificate = own
      let client = Client(configuration, examples: { _ in throw Unexpected("images") })
      let error = await #expect(throws: ClientError.self) { try await client.run() }
      guard case .certificate(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      let words = "the certificate of a in \(own.path) expired on \(certificate.expires.day); enrol again"
      #expect(reason.hasPrefix(words), "\(reason)")
    }
  }

  @Test func aServerThatComesLateIsFound() async throws {
    let endpoint = try await Endpoint.closed()
    try await withTemporaryFolder { folder in
      let client = client(endpoint, folder, patience: Unhurried.limit)
      let running = Task { try await client.run() }
      let listener = try await Listener(endpoint)
      let connection = try await listener.accept(limit: WireLimits.frame)
      guard case .hello = try await connection.receive() else { throw Unexpected("no hello") }
      try await connection.send(.goodbye(Goodbye(.finished)))
      try await running.value
      await connection.close()
      listener.shutDown()
      listener.close()
    }
  }

  @Test func aCutConnectionIsMadeAgain() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let first = try await server.welcome()
      let snapshot = plan.snapshot()
      try await first.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await first.serve(snapshot).1 else { throw Unexpected("no offer") }
      await first.connection.close()
      // The layers are still here, and the training is repeated.
      let second = try await server.welcome()
      try await second.send(.assignment(Assignment(snapshot)))
      let (fetched, message) = try await second.serve(snapshot)
      #expect(fetched.isEmpty)
      guard case .offer(let again) = message else { throw Unexpected("\(message.name)") }
      #expect(again.digest == offer.digest)
      try await server.finish(second)
      let reasons = server.events.all.compactMap { if case .disconnected(let why) = $0 { why } else { nil } }
      #expect(reasons.count == 1)
    }
  }

  /// The patience starts when the server becomes unreachable, however long the connection lasted.
  @Test func aConnectionThatLastedLongerThanThePatienceIsMadeAgainToo() async throws {
    try await withClient(Plan.tiny(), patience: .milliseconds(1900)) { server in
      let first = try await server.welcome(heartbeatSeconds: 1)
      for _ in 0..<2 {
        guard case .heartbeat = try await first.hear(heartbeats: true) else { throw Unexpected("silence") }
      }
      await first.connection.close()
      let waiting = Task { [listener = server.listener] in
        let connection = try await listener.accept(limit: WireLimits.frame)
        guard case .hello = try await connection.receive() else { return }
        try await connection.send(.goodbye(Goodbye(.finished)))
        _ = try? await connection.receive()
        await connection.close()
      }
      let result = await server.result()
      #expect(throws: Never.self, "it gave up without trying once") { try result.get() }
      server.listener.shutDown()
      _ = await waiting.result
    }
  }

  @Test func aStoppingServerIsWaitedFor() async throws {
    try await withClient(Plan.tiny()) { server in
      let first = try await server.welcome()
      try await first.send(.goodbye(Goodbye(.stopping, "a new version")))
      let second = try await server.welcome()
      await first.connection.close()
      try await server.finish(second)
    }
  }

  @Test(arguments: [Goodbye.Reason.rejected, .failed, .protocolError])
  func aClientThatIsTurnedAwayDoesNotComeBack(reason: Goodbye.Reason) async throws {
    try await withClient(Plan.tiny()) { server in
      let session = try await server.welcome()
      try await session.send(.goodbye(Goodbye(reason, "because")))
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      guard case .turnedAway("because")? = error else { throw Unexpected("\(String(describing: error))") }
      await session.connection.close()
    }
  }

  @Test func aCancelledClientEndsAsCancelled() async throws {
    // A signal is not a failure, however long the client was connected.
    try await withClient(Plan.tiny(), patience: .milliseconds(900)) { server in
      let session = try await server.welcome(heartbeatSeconds: 1)
      guard case .heartbeat = try await session.hear(heartbeats: true) else { throw Unexpected("silence") }
      server.running.cancel()
      await #expect(throws: CancellationError.self) { try await server.result().get() }
      await session.connection.close()
    }
  }

  @Test func oneImageIsTooFew() async throws {
    try await withClient(Plan.tiny(), images: 1) { server in
      let session = try await server.welcome()
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      guard case .data? = error else { throw Unexpected("\(String(describing: error))") }
      await session.connection.close()
    }
  }

  /// The client's images are 1 x 8 x 8.
  @Test func imagesOfAnotherSizeAndColourAreTrainedOn() async throws {
    var plan = Plan.tiny()
    (plan.encoder.imageSide, plan.encoder.imageChannels) = (16, 3)
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      #expect(offer.samples == 8 && offer.loss.isFinite)
      try await server.finish(session)
    }
  }

  /// A plan from the network must follow the same rules as a file.
  @Test func aPlanThatCannotBeIsTheServersFault() async throws {
    var plan = Plan.tiny()
    plan.encoder.vit.heads = 3
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      guard case .server(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason.contains("encoder.width"))
      await session.connection.close()
    }
  }

  /// Replaces each number and time span of a welcome by invalid ones in turn. The client must end with a proper error
  /// or continue.
  @Test(arguments: ["-1", "0", "4611686018427387904", "9223372036854775807", "1e30", "-1e-30"])
  func numbersOfAWelcomeThatCannotBeEndNothing(number: String) async throws {
    var plan = Plan.tiny()
    plan.method.calibration = Plan.Calibration(data: "shapes:8", every: .stage)
    let welcome = Welcome(plan: plan, heartbeatSeconds: 10, chunkBytes: 1000)
    let head = String(decoding: try Message.welcome(welcome).frame().head, as: UTF8.self)
    // Times are strings in JSON.
    let places =
      head.matches(of: /[:\[,](-?[0-9][-+.eE0-9]*)[,\]}]/).map(\.output.1)
      + head.matches(of: /"([0-9]+)m?[smh]"/).map(\.output.1)
    #expect(places.count > 30, "\(head)")
    var taken = 0
    for place in places {
      let changed = Data(head.replacingCharacters(in: place.startIndex..<place.endIndex, with: number).utf8)
      guard let message = try? Message(Frame(kind: 2, head: changed)), case .welcome = message else {
        continue
      }
      taken += 1
      try await withClient(plan, patience: .milliseconds(1)) { server in
        let session = ScriptedSession(connection: try await server.listener.accept(limit: WireLimits.frame))
        guard case .hello = try await session.hear() else { throw Unexpected("no hello") }
        try await session.send(message)
        try await session.send(.goodbye(Goodbye(.finished)))
        _ = await server.result()
        await session.connection.close()
      }
    }
    #expect(taken > 0)
  }

  @Test(arguments: [(0, 100), (0.01, 100), (4000, 100), (10, 0), (10, 1 << 30)] as [(Double, Int)])
  func aWelcomeOutOfBoundsIsTheServersFault(heartbeat: Double, chunk: Int) async throws {
    try await withClient(Plan.tiny()) { server in
      let session = try await server.welcome(heartbeatSeconds: heartbeat, chunkBytes: chunk)
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      guard case .server? = error else { throw Unexpected("\(String(describing: error))") }
      await session.connection.close()
    }
  }
}
