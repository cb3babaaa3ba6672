import Datasets
import Engine
import Federation
import Foundation
import Support
import Wire

/// One connection of a client. The server's messages drive a ``Participation``; this actor performs its actions.
actor ClientSession {
  let client: Client
  let connection: Connection
  let cache: LayerCache
  var participation = Participation()
  private(set) var work: LocalWork?
  private(set) var training: (key: RoundKey, progress: LocalWork.Progress)?
  /// The validation in progress, or the last one.
  var validating: LocalWork.Progress?
  private var update: LocalWork.Update?
  /// The number of the latest transfer of an update; an earlier transfer stops.
  private var uploads = 0
  let pendingUpdates: PendingUpdateStore
  private(set) var chunk = WireLimits.chunk
  private var beating: Task<Void, Never>?
  /// Closes the connection when the server is silent.
  private var silence: Task<Void, Never>?
  /// Counts bytes if there is a cap on them.
  var meter: ByteMeter?
  /// For each codec, the size of this connection's last update as a fraction of the codec's maximum.
  var packed: [UpdateCodec: Double] = [:]
  var watcher: Task<Void, Never>?
  private var ending: Result<Goodbye, any Error>?
  /// Receives the server's messages. When it is cancelled, the connection stays open for the last messages.
  private var hearing: Task<Void, any Error>?

  init(_ client: Client, _ connection: Connection, _ cache: LayerCache) {
    (self.client, self.connection, self.cache) = (client, connection, cache)
    pendingUpdates = PendingUpdateStore(client.configuration.state)
    if client.configuration.limits.bytesADay != nil { meter = ByteMeter(client.configuration.state) }
  }

  /// How a connection ended.
  struct Served: Sendable {
    /// The server's goodbye; ``WireError`` if the connection broke, ``ClientError`` if the client cannot continue.
    let ending: Result<Goodbye, any Error>
    let wasWelcomed: Bool
  }

  /// Runs the connection to its end.
  func run() async -> Served {
    endWhenSilent(for: client.configuration.silence)
    let hearing = Task { try await self.hear() }
    self.hearing = hearing
    let heard = await withTaskCancellationHandler {
      await hearing.result
    } onCancel: {
      hearing.cancel()
    }
    // A failure of the training cancels `hearing`; the caller wants the training's error.
    if ending == nil, case .failure(let error) = heard { ending = .failure(error) }
    await close()
    var result = ending ?? .failure(WireError.closed)
    if case .failure(let error as UnexpectedMessage) = result {
      result = .failure(ClientError.server(error.description))
    }
    return Served(ending: result, wasWelcomed: work != nil)
  }

  private func hear() async throws {
    try await perform(
      participation.greet(
        name: client.configuration.name, software: Client.software, codecs: UpdateCoding.all,
        layers: cache.versions))
    while ending == nil {
      let message = try await connection.receive()
      let reason = try declineReason(for: message)
      if reason == nil { note(message) }
      try await perform(participation.hear(message, holds: cache.holds, declines: { _ in reason }))
    }
  }

  /// Reports the cost of an assignment to the observer.
  private func note(_ message: Message) {
    guard case .assignment(let assignment) = message else { return }
    let missing = assignment.lacking(cache.holds)
    client.observer(
      .assigned(assignment.key, missing: missing.count, bytes: missing.reduce(0) { $0 + $1.bytes }))
  }

  private func close() async {
    beating?.cancel()
    watcher?.cancel()
    training?.progress.stop()
    validating?.stop()
    if Task.isCancelled {
      await part("the client stops")
    } else if case .failure(let error) = ending, !(error is WireError) {
      await part("\(error)")
    }
    uploads += 1
    await connection.close()
    // Until here, `silence` keeps a dead server from delaying the last messages.
    silence?.cancel()
    do { try saveBytes() } catch { if ending == nil { ending = .failure(error) } }
  }

  /// Announces that the client leaves, so that no round waits for it. Declines any work under way and waits until the
  /// server has received that: closing a connection can lose what it still carries.
  private func part(_ reason: String) async {
    let connection = connection
    let words = Task {
      let last = participation.withdraw(DeclineReason(reason))
      try await perform(last)
      try await connection.send(.goodbye(Goodbye(.stopping, String(reason.prefix(Self.longestReason)))))
      while !last.isEmpty { _ = try await connection.receive() }
    }
    let limit = Task {
      try await Task.sleep(for: Self.partingTime)
      await connection.shutDown()
    }
    _ = await words.result
    limit.cancel()
  }

  /// The time limit for the last messages. A service manager waits ten times as long before it kills the process.
  private static let partingTime = Duration.seconds(5)
  private static let longestReason = 200

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
          .settle(stage: verdict.key.stage, isAdmitted: verdict.rejection == nil)
      case .finish(let goodbye): ending = .success(goodbye)
      }
    }
  }

  // MARK: - Layers

  private func prepare(_ welcome: Welcome) throws {
    let (plan, data, validation) = try client.prepare(welcome)
    guard (1...WireLimits.frame).contains(welcome.chunkBytes),
      (0.1...3600).contains(welcome.heartbeatSeconds)
    else {
      throw ClientError.server(
        "chunks of \(welcome.chunkBytes) bytes and a heartbeat every \(welcome.heartbeatSeconds) s")
    }
    chunk = min(welcome.chunkBytes, WireLimits.chunk)
    work = LocalWork(
      plan: plan, stages: PlanStages(plan), data: data, validation: validation, cache: cache,
      configuration: client.configuration)
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
    validating?.stop()
    cache.keepOnly(assignment.parts.map(\.digest) + assignment.others)
    if let update = pendingUpdates.update(for: assignment) {
      client.observer(.offersAgain(assignment.key))
      return try await offer(update)
    }
    let progress = LocalWork.Progress()
    training = (assignment.key, progress)
    pauseOnBattery()
    let observer = client.observer
    Task { [permits = client.permits] in
      do {
        let update = try await permits.withPermit { () -> LocalWork.Update? in
          // If the round is over by now, no trainer is needed.
          guard !progress.isStopped else { return nil }
          return try await TrainingThread.run("training") {
            try work.run(assignment, progress, note: observer)
          }
        }
        guard let update else { return }
        try await self.finish(update)
        self.validate(assignment)
      } catch let error as DamagedLayer {
        await self.fetchAgain(assignment, error)
      } catch {
        await self.fail(error)
      }
    }
    // Tells the server that all layers are here, long before the next heartbeat is due.
    try await connection.send(.heartbeat(Heartbeat(step: 0, steps: 0)))
  }

  /// Fetches a damaged layer again; the other layers on disk are kept.
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
    try pendingUpdates.keep(update)
    client.observer(.trained(update.offer.key, update.offer))
    note(update)
    try await offer(update)
  }

  private func offer(_ update: LocalWork.Update) async throws {
    if let reason = try declineReason(for: update) {
      return try await perform(participation.withdraw(reason))
    }
    self.update = update
    try await perform(participation.finish(update.offer))
  }

  func fail(_ error: any Error) async {
    if ending == nil { ending = .failure(error) }
    hearing?.cancel()
  }

  private func drop(_ key: RoundKey) {
    if training?.key == key { client.observer(.dropped(key)) }
    halt(key)
    pendingUpdates.clear(key)
    // Nothing is kept in this case.
    try? ErrorFeedback(client.configuration.state).settle(stage: key.stage, isAdmitted: false)
  }

  /// Stops the work for a round; a finished update stays in the store of pending updates.
  private func halt(_ key: RoundKey) {
    if let training, training.key == key {
      training.progress.stop()
      self.training = nil
    }
    if update?.offer.key == key { update = nil }
    uploads += 1
  }

  /// Sends the update in pieces while the connection keeps receiving. It stops between two pieces only: after part of
  /// a piece no other message could be sent.
  private func send(_ offer: UpdateOffer, from offset: Int) {
    // Compares key and digest, not whole offers: a loss that is NaN never equals itself.
    guard let update, (update.offer.key, update.offer.digest) == (offer.key, offer.digest) else { return }
    uploads += 1
    Task { [connection, chunk, number = uploads] in
      var offset = offset
      while offset < update.bytes.count && uploads == number {
        let end = min(offset + chunk, update.bytes.count)
        let piece = update.bytes[offset..<end]
        do {
          try await connection.send(.update(UpdateData(digest: offer.digest, offset: offset), piece))
        } catch {
          return  // The receiving task gets the same error.
        }
        offset = end
      }
    }
  }

  // MARK: - Heartbeats

  /// Sends a heartbeat at each interval, and closes the connection if the server is silent for three intervals.
  private func beat(every interval: Duration) {
    endWhenSilent(for: WireLimits.silence(heartbeat: interval))
    beating?.cancel()
    beating = Task { [connection] in
      while !Task.isCancelled {
        do { try await Task.sleep(for: interval) } catch { return }
        do { try await connection.send(.heartbeat(self.heartbeat())) } catch { return }
      }
    }
  }

  /// Returns a heartbeat with the client's progress and memory.
  func heartbeat(with validation: Validation? = nil) -> Heartbeat {
    let steps = training?.progress.steps
    let resident = ProcessMemory.resident
    return Heartbeat(
      step: steps?.step, steps: steps?.of, memory: resident > 0 ? resident : nil, validation: validation)
  }

  /// Runs independently of sending and receiving, because heartbeats queue behind a piece that is stuck.
  private func endWhenSilent(for limit: Duration) {
    silence?.cancel()
    silence = Task { [connection] in await connection.endWhenSilent(for: limit) }
  }
}
