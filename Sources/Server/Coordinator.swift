import Certificates
import Engine
import Federation
import Foundation
import Support
import Wire

/// The server's only actor. It passes events of sockets and clock to its ``JobEngine`` and performs the effects that
/// the job engine returns. Aggregation and calibration run outside the actor.
package actor Coordinator {
  nonisolated let runtime: any ServerRuntime
  nonisolated let updates: UpdateSpool
  private let engine: JobEngine
  private let calibration: Calibration?
  private let store: Store
  /// The number of threads for aggregation and calibration.
  private let threads: Int
  private let observer: @Sendable (ServerEvent) -> Void
  private let start: Duration
  private var sessions: [String: Session] = [:]
  private var accounted: [String: (up: Int, down: Int)] = [:]
  /// The layers fetched since the last aggregation began.
  private var layers: [Digest: OutgoingLayer] = [:]
  private var offenders = Offenders()
  private var arrivals = Arrivals()
  /// The last heartbeat of each client.
  private var beats: [String: Heartbeat] = [:]
  /// The work of the clients that were asked to train.
  private var works: [String: ClientWork] = [:]
  private var timer: Task<Void, Never>?
  private var ending: Result<Void, any Error>?
  private var waiter: CheckedContinuation<Void, any Error>?
  /// The status in the store.
  private var status: ServerStatus?
  private var statusTime = Duration.zero

  /// The maximum interval between a client's messages. A connection silent for three intervals is closed.
  nonisolated let heartbeat: Duration
  /// The silence after which another connection may take over the client's name: one heartbeat was missed.
  private var halfOpenSilence: Duration { heartbeat * 1.5 }

  /// The minimum time between status records that differ only in the clients' progress.
  private static let progressPause = Duration.seconds(5)

  /// Trains an aggregated model on the server's images. `progress` gets step and steps.
  package typealias Calibration =
    @Sendable (Snapshot, RoundKey, _ progress: @escaping @Sendable (Int, Int) -> Void) async throws
    -> (Snapshot, loss: Float)

  /// Opens the plan's job in the store.
  ///
  /// - Parameters:
  ///   - folder: the folder of the plan's file.
  ///   - runtime: the clock, tasks and threads.
  ///   - calibration: the calibration; nil to calibrate with the plan's images, if it has any.
  package init(
    _ plan: Plan, store: Store, folder: URL = .currentDirectory(), threads: Int,
    runtime: any ServerRuntime = SystemRuntime(), calibration: Calibration? = nil,
    heartbeat: Duration = .seconds(WireLimits.heartbeatSeconds),
    observer: @escaping @Sendable (ServerEvent) -> Void
  ) throws {
    self.calibration = try calibration ?? Calibrator(plan, threads: threads).map { $0.calibrate }
    engine = try JobEngine(plan, store: store, folder: folder, at: .zero, date: { runtime.date })
    engine.heartbeat = heartbeat
    self.heartbeat = heartbeat
    (self.store, self.threads, self.observer) = (store, threads, observer)
    (self.runtime, start, updates) = (runtime, runtime.now, store.updates)
  }

  /// The encoder after the last committed round.
  package var current: Snapshot { engine.snapshot }

  /// Returns the connected clients, sorted by name.
  func connected() -> [ConnectedClient] {
    sessions.sorted { $0.key.precedesNaturally($1.key) }.map { name, session in
      let counted = accounted[name] ?? (0, 0)
      let (traffic, work) = (session.traffic, works[name])
      return ConnectedClient(
        name: name, received: traffic.received - counted.up, sent: traffic.sent - counted.down,
        silence: session.silence, activity: work?.activity ?? .idle, step: work?.progress?.step,
        steps: work?.progress?.steps, update: work?.update(received: traffic.received),
        memory: beats[name]?.memory)
    }
  }

  /// Returns at once unless the actor is stuck.
  func answer() {}

  /// Runs the job to its end. Throws ``ServerError`` or ``StoreError`` if it cannot be finished.
  package func run() async throws {
    perform(engine.advance(at: now))
    if let ending { return try ending.get() }
    try await withCheckedThrowingContinuation { waiter = $0 }
  }

  /// Stops the job on this server and notifies the clients; the round continues at the next start.
  package func stop() { perform(engine.stop()) }

  /// Stops the job on this server because of a failure outside the actor.
  func stop(because error: any Error) { perform(engine.stop(because: error)) }

  private var now: Duration { runtime.now - start }

  /// Checks that a session is the current one of its client; every message of a client passes here. Throws
  /// ``ConnectionReplaced`` if another connection has taken the name.
  private func require(_ session: Session, isOf client: String) throws(ConnectionReplaced) {
    guard sessions[client] === session else { throw ConnectionReplaced() }
  }
}

// MARK: - Clients

extension Coordinator {
  /// Handles a hello. Returns the goodbye if the client is rejected; nil if it is admitted, after sending the welcome.
  func join(_ hello: Hello, _ session: Session) -> Goodbye? {
    guard hello.protocol == Hello.currentProtocol else {
      return Goodbye(
        .rejected, "the client has protocol \(hello.protocol), this server \(Hello.currentProtocol)")
    }
    guard Hello.isValid(name: hello.name) else {
      return Goodbye(.rejected, "a name is 1 to 64 letters, digits, '.', '_' or '-'")
    }
    if let rest = offenders.rest(of: hello.name, at: now) {
      return Goodbye(
        .rejected, "this client sent too many messages without effect; it can reconnect in \(rest) s")
    }
    if let other = sessions[hello.name] {
      guard other.silence > halfOpenSilence else {
        // This may be the same device, whose old connection has not timed out yet.
        return Goodbye(.stopping, "a client named \(hello.name) is already connected")
      }
      // The device was disconnected abruptly and has returned before its old connection timed out.
      other.dismiss(Goodbye(.rejected, "another connection uses the name \(hello.name)"))
      leave(hello.name, other, reason: "it reconnected on another connection")
    }
    guard arrivals.take(hello.name, at: now, connected: sessions) else {
      return Goodbye(.stopping, "the client \(hello.name) reconnects too often; the limit is once a second")
    }
    do {
      guard try store.hasRoom(for: hello.name) else {
        return Goodbye(.rejected, "the database is full: it has the maximum number of clients")
      }
    } catch {
      perform(engine.stop(because: error))
    }
    switch ending {
    case .success: return Goodbye(.finished)
    case .failure: return Goodbye(.stopping, "the server stops")
    case nil: break
    }
    sessions[hello.name] = session
    observer(.joined(client: hello.name, peer: session.peer))
    perform(engine.join(hello, at: now))
    return nil
  }

  /// Handles the end of a client's connection.
  func leave(_ client: String, _ session: Session, reason: String) {
    guard sessions[client] === session else { return }
    account([client: session])
    sessions[client] = nil
    accounted[client] = nil
    beats[client] = nil
    works[client] = nil
    observer(.left(client: client, reason: reason))
    perform(engine.leave(client, at: now))
  }

  /// Rejects a client for some time because it sent too many messages in vain.
  func rest(_ client: String, _ session: Session) {
    guard sessions[client] === session else { return }
    offenders.add(client, at: now)
  }

  func note(_ heartbeat: Heartbeat, from client: String, _ session: Session) throws(ConnectionReplaced) {
    try require(session, isOf: client)
    beats[client] = heartbeat
    let before = works[client]?.activity
    works[client]?.hear(heartbeat, at: now)
    if let validation = heartbeat.validation {
      let effects = engine.take(validation, from: client)
      if !effects.isEmpty { perform(effects) }
    }
    if works[client]?.activity != before || now >= statusTime + Self.progressPause { noteStatus() }
    guard let step = heartbeat.step, let steps = heartbeat.steps else { return }
    observer(.progress(client: client, step: step, steps: steps))
  }

  func noteEnrolled(_ client: String, _ peer: String) { observer(.enrolled(client: client, peer: peer)) }

  /// Notifies the observer if a client's certificate expires soon.
  func note(_ identity: PeerIdentity) {
    let days = Int(identity.expires.timeIntervalSinceNow / 86_400)
    if days < Certificate.warningDays { observer(.expires(client: identity.name, days: days)) }
  }

  func noteTurnedAway(_ peer: String, reason: String) { observer(.turnedAway(peer: peer, reason: reason)) }

  /// Handles a decline. Returns whether the client had been asked for what it declines.
  func take(
    _ decline: Decline, from client: String, _ session: Session
  ) throws(ConnectionReplaced) -> Bool {
    try require(session, isOf: client)
    if works[client]?.key == decline.key { works[client] = nil }
    let effects = engine.take(decline, from: client, at: now)
    perform(effects)
    return !effects.isEmpty
  }

  /// Returns a layer version of the round's model, or a delta to it; nil if there is none.
  func layer(_ digest: Digest) -> OutgoingLayer? {
    if let layer = layers[digest] { return layer }
    layers[digest] = engine.weights(digest).map { OutgoingLayer(digest, $0) }
    return layers[digest]
  }

  /// Judges an offered update without its bytes. Returns whether the bytes are wanted; if not, the verdict has been
  /// queued.
  func consider(
    _ offer: UpdateOffer, from client: String, _ session: Session
  ) throws(ConnectionReplaced) -> Bool {
    try require(session, isOf: client)
    if engine.wants(offer, from: client) {
      let kept = (try? updates.arrived(offer, from: client).count) ?? 0
      works[client]?.send(offer, received: session.traffic.received, kept: kept)
      noteStatus()
      return true
    }
    perform(engine.judge(offer, isHere: false, fault: nil, from: client, at: now))
    return false
  }

  /// Returns the check for an update's bytes; nil if its round is over.
  func check(
    _ offer: UpdateOffer, from client: String, _ session: Session
  ) throws(ConnectionReplaced) -> UpdateCheck? {
    try require(session, isOf: client)
    return engine.check(offer, from: client)
  }

  /// Handles an update whose bytes have all arrived; `fault` is the result of checking them. The verdict is sent after
  /// it has been stored.
  func receive(
    _ offer: UpdateOffer, fault: Rejection?, from client: String, _ session: Session
  ) throws(ConnectionReplaced) {
    try require(session, isOf: client)
    perform(engine.judge(offer, isHere: true, fault: fault, from: client, at: now))
  }

  /// Adds the traffic of clients' connections since the last call to the store.
  private func account(_ sessions: [String: Session]) {
    var carried: [String: (up: Int, down: Int)] = [:]
    for (client, session) in sessions {
      let (up, down) = (session.traffic.received, session.traffic.sent)
      let before = accounted[client] ?? (0, 0)
      guard up > before.up || down > before.down else { continue }
      accounted[client] = (up, down)
      carried[client] = (up - before.up, down - before.down)
    }
    guard !carried.isEmpty else { return }
    do {
      try store.addTraffic(carried, at: runtime.date)
    } catch {
      perform(engine.stop(because: error))
    }
  }
}

// MARK: - Effects of the job engine

extension Coordinator {
  private func perform(_ effects: [JobEngine.Effect]) {
    for effect in effects {
      switch effect {
      case .send(let message, let client):
        follow(message, client)
        sessions[client]?.post(message)
      case .note(let event): note(event)
      case .aggregate(let aggregator):
        // Releases the layers of the previous model, so that SQLite has memory for its copy of each layer.
        layers = [:]
        let aggregator = Handover(aggregator)
        beside { [threads, runtime] in
          let (result, drift) = try await runtime.compute("aggregation") {
            let aggregator = aggregator.take()
            let result = try aggregator.run(threads: threads)
            return (result, try aggregator.drift(of: result, threads: threads))
          }
          return { engine, now in engine.finishAggregation(result, drift: drift, at: now) }
        }
      case .calibrate(let draft, let key): calibrate(draft, key)
      case .end(let result, let goodbye): end(result, goodbye)
      }
    }
    setTimer()
    noteStatus()
    guard let ending else { return }
    // The store must have the status first: the process may exit at once.
    waiter?.resume(with: ending)
    waiter = nil
  }

  /// Updates a client's work after a message to it.
  private func follow(_ message: Message, _ client: String) {
    switch message {
    case .assignment(let assignment) where sessions[client] != nil:
      works[client] = ClientWork(assignment.key)
    case .release(let release) where works[client]?.key == release.key: works[client] = nil
    case .acknowledgement(let verdict) where works[client]?.key == verdict.key: works[client] = nil
    default: break
    }
  }

  /// Keeps the status in the store current. If that fails, the server stops.
  private func noteStatus() {
    var next = engine.status(
      since: status?.since ?? runtime.date, works: works, at: now, runtime.date)
    switch ending {
    case .success: next.phase = .finished
    case .failure(is CancellationError): next.phase = .stopped
    case .failure(ServerError.gaveUp): next.phase = .failed
    case .failure(let error): (next.phase, next.reason) = (.failed, "\(error)")
    case nil: break
    }
    let isNew =
      (next.phase, next.stage, next.round, next.attempt)
      != (status?.phase, status?.stage ?? 0, status?.round ?? 0, status?.attempt ?? 0)
    if isNew { next.since = runtime.date }
    // A change of the deadline by less than a second is not worth a write.
    if !isNew, let until = next.until, let old = status?.until, abs(until.timeIntervalSince(old)) < 1 {
      next.until = old
    }
    guard next != status else { return }
    // The progress of a thousand clients would keep the disk busy.
    guard next.withoutProgress != status?.withoutProgress || now >= statusTime + Self.progressPause else {
      return
    }
    (status, statusTime) = (next, now)
    do { try store.note(next) } catch {
      // The reason for the end is recorded elsewhere.
      if ending == nil { perform(engine.stop(because: error)) }
    }
  }

  private func note(_ event: ServerEvent) {
    if case .committed = event { account(sessions) }
    observer(event)
  }

  private func calibrate(_ draft: Snapshot, _ key: RoundKey) {
    guard let calibration else { return }
    beside { [observer] in
      let (result, loss) = try await calibration(draft, key) { step, steps in
        observer(.calibrating(key, step: step, steps: steps))
      }
      return { engine, now in engine.finishCalibration(result, loss: loss, at: now) }
    }
  }

  /// Runs work outside the actor and then performs its effects; a failure ends the job.
  private func beside(
    _ work: @escaping @Sendable () async throws -> @Sendable (JobEngine, Duration) -> [JobEngine.Effect]
  ) {
    runtime.start {
      do { await self.finish(try await work()) } catch { await self.stop(because: error) }
    }
  }

  private func finish(_ finish: @Sendable (JobEngine, Duration) -> [JobEngine.Effect]) {
    perform(finish(engine, now))
  }

  private func advance() { perform(engine.advance(at: now)) }

  /// Wakes the job engine at its next deadline.
  private func setTimer() {
    timer?.cancel()
    guard let deadline = engine.nextDeadline else { return }
    let time = start + deadline
    timer = runtime.start { [runtime] in
      do { try await runtime.sleep(until: time) } catch { return }
      await self.advance()
    }
  }

  private func end(_ result: Result<Void, any Error>, _ goodbye: Goodbye) {
    guard ending == nil else { return }
    ending = result
    // In a fixed order, so that simulated runs are reproducible.
    for (_, session) in sessions.sorted(by: { $0.key < $1.key }) { session.post(.goodbye(goodbye)) }
  }
}
