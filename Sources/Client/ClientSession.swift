import Datasets
import Engine
import Federation
import Foundation
import Wire

/// One connection of a client: what the server says drives a ``Participation``, whose actions are done here.
actor ClientSession {
  let client: Client
  let connection: Connection
  let cache: LayerCache
  var participation = Participation()
  private var work: LocalWork?
  private(set) var training: (key: RoundKey, progress: LocalWork.Progress)?
  private var update: LocalWork.Update?
  private var upload: Task<Void, Never>?
  private let shelf: UpdateShelf
  private var chunk = WireLimits.chunk
  private var lastHeard = ContinuousClock.now
  private var heartbeat: Task<Void, Never>?
  /// Counts bytes where there is a cap on them.
  var meter: ByteMeter?
  var watcher: Task<Void, Never>?
  private var ending: Result<Goodbye, any Error>?

  init(_ client: Client, _ connection: Connection, _ cache: LayerCache) {
    (self.client, self.connection, self.cache) = (client, connection, cache)
    shelf = UpdateShelf(client.configuration.state)
    if client.configuration.manners.bytesADay != nil { meter = ByteMeter(client.configuration.state) }
  }

  /// How a connection went.
  struct Served: Sendable {
    /// The server's last words; ``WireError`` where it broke, ``ClientError`` where this client cannot go on.
    let ending: Result<Goodbye, any Error>
    let wasWelcomed: Bool
  }

  /// Serves the connection to its end.
  func run() async -> Served {
    do {
      try await perform(
        participation.greet(
          name: client.configuration.name, software: Client.software, codecs: UpdateCoding.all,
          layers: cache.versions))
      while ending == nil {
        let message = try await connection.receive()
        lastHeard = .now
        let objection = try objection(to: message)
        if objection == nil { note(message) }
        try await perform(
          participation.hear(message, holds: cache.holds, declines: { _ in objection }))
      }
    } catch {
      // A failure of the training closes the connection, and is what the caller wants to know.
      if ending == nil { ending = .failure(error) }
    }
    await close()
    var result = ending ?? .failure(WireError.closed)
    if case .failure(let error as UnexpectedMessage) = result {
      result = .failure(ClientError.server(error.description))
    }
    return Served(ending: result, wasWelcomed: work != nil)
  }

  /// Tells the observer what an assignment will cost.
  private func note(_ message: Message) {
    guard case .assignment(let assignment) = message else { return }
    let missing = assignment.lacking(cache.holds)
    client.observer(
      .assigned(assignment.key, missing: missing.count, bytes: missing.reduce(0) { $0 + $1.bytes }))
  }

  private func close() async {
    heartbeat?.cancel()
    watcher?.cancel()
    upload?.cancel()
    training?.progress.stop()
    if case .failure(let error) = ending, !(error is WireError) {
      try? await connection.send(.goodbye(Goodbye(.stopping, "\(error)")))
    }
    await connection.close()
    do { try saveBytes() } catch { if ending == nil { ending = .failure(error) } }
  }

  func perform(_ actions: [Participation.Action]) async throws {
    for action in actions {
      switch action {
      case .send(let message):
        if case .decline(let decline) = message {
          client.observer(.declined(decline.key, reason: decline.reason))
        }
        try await connection.send(message)
      case .fetch(let version):
        let fetch = Fetch(digest: version.digest, offset: cache.received(version))
        try await connection.send(.fetch(fetch))
      case .prepare(let welcome): try prepare(welcome)
      case .store(let head, let bytes): try await store(head, bytes)
      case .assemble(let assignment): try await assemble(assignment)
      case .train(let assignment): try await train(assignment)
      case .drop(let key): drop(key)
      case .halt(let key): halt(key)
      case .upload(let offer, let offset): send(offer, from: offset)
      case .note(let verdict):
        client.observer(.judged(verdict))
        try ErrorFeedback(client.configuration.state)
          .settle(stage: verdict.key.stage, isAdmitted: verdict.refusal == nil)
      case .finish(let goodbye): ending = .success(goodbye)
      }
    }
  }

  // MARK: - Layers

  private func prepare(_ welcome: Welcome) throws {
    let (plan, images) = try client.prepare(welcome)
    guard (1...WireLimits.frame).contains(welcome.chunkBytes), (1...3600).contains(welcome.heartbeatSeconds)
    else { throw ClientError.server("chunks of \(welcome.chunkBytes) bytes") }
    chunk = min(welcome.chunkBytes, WireLimits.chunk)
    work = LocalWork(plan: plan, images: images, cache: cache, configuration: client.configuration)
    client.observer(.welcomed(plan: plan.name))
    beat(every: .seconds(welcome.heartbeatSeconds))
    watch()
  }

  private func store(_ head: LayerData, _ bytes: Data) async throws {
    let version = PartVersion(name: "", digest: head.digest, bytes: head.total)
    switch try cache.store(head, bytes) {
    case .incomplete: break
    case .complete: try await perform(participation.hold(version))
    case .corrupt: try await perform(try participation.lose(version))
    }
  }

  private func assemble(_ assignment: Assignment) async throws {
    guard let work else { return }
    let missing = try LayerAssembly(cache, try work.stage(of: assignment)).run(assignment)
    try await perform(participation.assemble(assignment, missing: missing))
  }

  // MARK: - Training

  private func train(_ assignment: Assignment) async throws {
    guard let work else { return }
    cache.keepOnly(assignment.parts.map(\.digest) + assignment.others)
    if let update = shelf.update(for: assignment) {
      client.observer(.offersAgain(assignment.key))
      return try await offer(update)
    }
    let progress = LocalWork.Progress()
    training = (assignment.key, progress)
    mindPower()
    let observer = client.observer
    Task { [permits = client.permits] in
      do {
        let update = try await permits.withPermit { () -> LocalWork.Update? in
          // A round that is over by now is not worth a trainer.
          guard !progress.isStopped else { return nil }
          return try await TrainingThread.run("training") {
            try work.run(assignment, progress, note: observer)
          }
        }
        if let update { try await self.finish(update) }
      } catch let error as DamagedLayer {
        await self.fetchAgain(assignment, error)
      } catch {
        await self.fail(error)
      }
    }
  }

  /// A layer on the disk is not what it was: what is left of the others is good, and it alone is fetched.
  private func fetchAgain(_ assignment: Assignment, _ damage: DamagedLayer) async {
    guard training?.key == assignment.key else { return }
    training = nil
    client.observer(.damaged(damage.version.digest))
    do {
      try await perform(participation.miss(assignment, holds: cache.holds))
    } catch let error as UnexpectedMessage {
      await fail(ClientError.state("\(client.configuration.state.path): \(error)"))
    } catch {
      await fail(error)
    }
  }

  private func finish(_ update: LocalWork.Update) async throws {
    guard training?.key == update.offer.key else { return }
    training = nil
    try shelf.keep(update)
    client.observer(.trained(update.offer.key, update.offer))
    try await offer(update)
  }

  private func offer(_ update: LocalWork.Update) async throws {
    self.update = update
    try await perform(participation.finish(update.offer))
  }

  func fail(_ error: any Error) async {
    if ending == nil { ending = .failure(error) }
    await connection.shutDown()
  }

  private func drop(_ key: RoundKey) {
    if training?.key == key { client.observer(.dropped(key)) }
    halt(key)
    shelf.clear(key)
    // Nothing is kept then.
    try? ErrorFeedback(client.configuration.state).settle(stage: key.stage, isAdmitted: false)
  }

  /// Ends what is under way for a round; an update that is finished stays on the shelf.
  private func halt(_ key: RoundKey) {
    if let training, training.key == key {
      training.progress.stop()
      self.training = nil
    }
    if update?.offer.key == key { update = nil }
    upload?.cancel()
    upload = nil
  }

  /// Sends the update piece by piece, while the connection goes on listening.
  private func send(_ offer: UpdateOffer, from offset: Int) {
    guard let update, update.offer == offer else { return }
    upload?.cancel()
    upload = Task { [connection, chunk] in
      var offset = offset
      while offset < update.bytes.count && !Task.isCancelled {
        let end = min(offset + chunk, update.bytes.count)
        let piece = update.bytes[offset..<end]
        do {
          try await connection.send(.update(UpdateData(digest: offer.digest, offset: offset), piece))
        } catch {
          return  // The receiving task sees the same end of the connection.
        }
        offset = end
      }
    }
  }

  // MARK: - Signs of life

  /// Says every so often that this client lives, and hangs up on a server that does not answer.
  private func beat(every interval: Duration) {
    heartbeat?.cancel()
    heartbeat = Task { [connection] in
      var sent = 0
      while !Task.isCancelled {
        do { try await Task.sleep(for: interval) } catch { return }
        let silence = ContinuousClock.now - self.lastHeard
        // A server does not answer before it has heard all that is on its way, which a slow link is long busy with.
        // The heartbeat alone goes into the socket's buffer, whether anybody is there or not.
        guard silence < interval * 3 || connection.traffic.sent > sent + 1024 else {
          return await connection.shutDown()
        }
        sent = connection.traffic.sent
        let steps = self.training?.progress.steps
        let resident = ProcessMemory.resident
        let message = Message.heartbeat(
          Heartbeat(step: steps?.step, steps: steps?.of, memory: resident > 0 ? resident : nil))
        do { try await connection.send(message) } catch { return }
      }
    }
  }
}
