import Certificates
import Engine
import Federation
import Foundation
import Wire

/// The server's one actor: it gives its ``Leader`` what happens on sockets and on the clock, and does what the
/// leader says. What takes long (averaging, calibration) goes on beside it.
package actor Coordinator {
  private let leader: Leader
  private let calibrator: Calibrator?
  private let store: Store
  /// Of aggregation and calibration.
  private let threads: Int
  private let observer: @Sendable (ServerEvent) -> Void
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var sessions: [String: Session] = [:]
  private var accounted: [String: (up: Int, down: Int)] = [:]
  /// What was fetched since the last aggregation began.
  private var layers: [Digest: OutgoingLayer] = [:]
  /// The last sign of life of each.
  private var beats: [String: Heartbeat] = [:]
  private var timer: Task<Void, Never>?
  private var ending: Result<Void, any Error>?
  private var waiter: CheckedContinuation<Void, any Error>?
  /// What the store says that this server does.
  private var status: ServerStatus?

  /// Silence after which a connection may be taken over by another of its name: one heartbeat was missed.
  private static let halfOpenSilence = Duration.seconds(1.5 * Double(WireLimits.heartbeatSeconds))

  /// Opens the plan's job in the store; `folder` is where the plan's file is.
  package init(
    _ plan: Plan, store: Store, folder: URL = .currentDirectory(), threads: Int,
    observer: @escaping @Sendable (ServerEvent) -> Void
  ) throws {
    calibrator = try Calibrator(plan, threads: threads)
    leader = try Leader(plan, store: store, folder: folder, at: .zero)
    (self.store, self.threads, self.observer) = (store, threads, observer)
    start = clock.now
  }

  /// The encoder as it is after the last committed round.
  package var current: Snapshot { leader.snapshot }

  /// The clients whose connections are there, by name.
  func connected() -> [ConnectedClient] {
    sessions.sorted { $0.key < $1.key }.map { name, session in
      let counted = accounted[name] ?? (0, 0)
      return ConnectedClient(
        name: name, received: session.traffic.received - counted.up,
        sent: session.traffic.sent - counted.down, silence: session.silence, step: beats[name]?.step,
        steps: beats[name]?.steps, memory: beats[name]?.memory)
    }
  }

  /// Returns at once unless the actor is stuck.
  func answer() {}

  /// Runs the job to its end. Throws ``ServerError`` or ``StoreError`` where it cannot be finished.
  package func run() async throws {
    perform(leader.advance(at: now))
    if let ending { return try ending.get() }
    try await withCheckedThrowingContinuation { waiter = $0 }
  }

  /// Ends the job's run here: clients are told that the server stops; the round goes on at the next start.
  package func stop() { perform(leader.stop()) }

  /// Ends the job's run here because something failed beside it.
  func stop(because error: any Error) { perform(leader.stop(because: error)) }

  private var now: Duration { clock.now - start }
}

// MARK: - Clients

extension Coordinator {
  /// A client said hello. Returns the goodbye that turns it away; nil where it is welcome, and told so.
  func join(_ hello: Hello, _ session: Session) -> Goodbye? {
    guard hello.protocol == Hello.currentProtocol else {
      return Goodbye(.refused, "protocol \(hello.protocol); this server speaks \(Hello.currentProtocol)")
    }
    guard Hello.isValid(name: hello.name) else {
      return Goodbye(.refused, "a name is 1 to 64 letters, digits, '.', '_' or '-'")
    }
    if let other = sessions[hello.name] {
      guard other.silence > Self.halfOpenSilence else {
        // It may be the same box, whose old connection has not been missed yet.
        return Goodbye(.stopping, "the name \(hello.name) is connected already")
      }
      // The box was cut off without a word and is back before its old connection has timed out.
      other.post(.goodbye(Goodbye(.refused, "another connection has taken the name \(hello.name)")))
      leave(hello.name, other, reason: "it came back on another connection")
    }
    switch ending {
    case .success: return Goodbye(.finished)
    case .failure: return Goodbye(.stopping, "the server stops")
    case nil: break
    }
    sessions[hello.name] = session
    observer(.joined(client: hello.name, peer: session.peer))
    perform(leader.join(hello, at: now))
    return nil
  }

  /// A client's connection ended.
  func leave(_ client: String, _ session: Session, reason: String) {
    guard sessions[client] === session else { return }
    account([client: session])
    sessions[client] = nil
    accounted[client] = nil
    beats[client] = nil
    observer(.left(client: client, reason: reason))
    perform(leader.leave(client, at: now))
  }

  func note(_ heartbeat: Heartbeat, from client: String) {
    // One that was sent on a connection that has been replaced meanwhile is of no client that is here.
    if sessions[client] != nil { beats[client] = heartbeat }
    guard let step = heartbeat.step, let steps = heartbeat.steps else { return }
    observer(.progress(client: client, step: step, steps: steps))
  }

  func noteEnrolled(_ client: String, _ peer: String) { observer(.enrolled(client: client, peer: peer)) }

  /// Says so where a client's certificate will end soon.
  func note(_ identity: PeerIdentity) {
    let days = Int(identity.expires.timeIntervalSinceNow / 86_400)
    if days < Certificate.warningDays { observer(.expires(client: identity.name, days: days)) }
  }

  func noteTurnedAway(_ peer: String, reason: String) { observer(.turnedAway(peer: peer, reason: reason)) }

  func take(_ decline: Decline, from client: String) {
    perform(leader.take(decline, from: client, at: now))
  }

  /// A version of a layer of the round's model, or a way to it; nil if there is none such.
  func layer(_ digest: Digest) -> OutgoingLayer? {
    if let layer = layers[digest] { return layer }
    layers[digest] = leader.weights(digest).map { OutgoingLayer(digest, $0) }
    return layers[digest]
  }

  /// Judges an offered update by what is known without its bytes. Returns whether they are wanted; if not,
  /// the verdict is on its way.
  func consider(_ offer: UpdateOffer, from client: String) -> Bool {
    if leader.wants(offer, from: client) { return true }
    perform(leader.judge(offer, isHere: false, fault: nil, from: client, at: now))
    return false
  }

  /// What an update's bytes must be; nil where its round is over.
  func check(_ offer: UpdateOffer, from client: String) -> UpdateCheck? {
    leader.check(offer, from: client)
  }

  /// All bytes of an offered update are here, and `fault` is what is wrong with them. The verdict is sent
  /// once it is stored. What came on a connection that another has replaced is passed over.
  func receive(_ offer: UpdateOffer, fault: Refusal?, from client: String, _ session: Session) {
    guard sessions[client] === session else { return }
    perform(leader.judge(offer, isHere: true, fault: fault, from: client, at: now))
  }

  /// Adds to the store what clients' connections have carried since the last time.
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
      try store.addTraffic(carried, at: Date())
    } catch {
      perform(leader.stop(because: error))
    }
  }
}

// MARK: - What the leader says

extension Coordinator {
  private func perform(_ effects: [Leader.Effect]) {
    for effect in effects {
      switch effect {
      case .send(let message, let client): sessions[client]?.post(message)
      case .note(let event): note(event)
      case .aggregate(let aggregator):
        // The model before goes with it, to make room for the copy that SQLite makes of each layer.
        layers = [:]
        let aggregator = Handover(aggregator)
        beside { [threads] in
          let result = try await TrainingThread.run("aggregation") {
            try aggregator.take().run(threads: threads)
          }
          return { leader, now in leader.finishAggregation(result, at: now) }
        }
      case .calibrate(let draft, let key): calibrate(draft, key)
      case .end(let result, let goodbye): end(result, goodbye)
      }
    }
    setTimer()
    noteStatus()
    guard let ending else { return }
    // Not before the store says so: the process may be gone a moment later.
    waiter?.resume(with: ending)
    waiter = nil
  }

  /// Keeps what the store says of this server true. Where that fails the store fails, and the server ends.
  private func noteStatus() {
    var next = leader.status(since: status?.since ?? Date(), at: now, Date())
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
    if isNew { next.since = Date() }
    // The clock alone, which moves the end of a phase by less than a second, is nothing to write.
    if !isNew, let until = next.until, let old = status?.until, abs(until.timeIntervalSince(old)) < 1 {
      next.until = old
    }
    guard next != status else { return }
    status = next
    do { try store.note(next) } catch {
      // Its last words are said elsewhere.
      if ending == nil { perform(leader.stop(because: error)) }
    }
  }

  private func note(_ event: ServerEvent) {
    if case .committed = event { account(sessions) }
    observer(event)
  }

  private func calibrate(_ draft: Snapshot, _ key: RoundKey) {
    guard let calibrator else { return }
    beside { [observer] in
      let (result, loss) = try await calibrator.calibrate(draft, key) { step, steps in
        observer(.calibrating(key, step: step, steps: steps))
      }
      return { leader, now in leader.finishCalibration(result, loss: loss, at: now) }
    }
  }

  /// Runs work beside the actor, and then what follows from it; its failure ends the job.
  private func beside(
    _ work: @escaping @Sendable () async throws -> @Sendable (Leader, Duration) -> [Leader.Effect]
  ) {
    Task {
      do {
        let finish = try await work()
        self.perform(finish(self.leader, self.now))
      } catch {
        self.perform(self.leader.stop(because: error))
      }
    }
  }

  /// Wakes the leader when time alone would change something.
  private func setTimer() {
    timer?.cancel()
    guard let deadline = leader.nextDeadline else { return }
    let instant = start + deadline
    timer = Task { [clock] in
      do { try await clock.sleep(until: instant) } catch { return }
      self.perform(self.leader.advance(at: self.now))
    }
  }

  private func end(_ result: Result<Void, any Error>, _ goodbye: Goodbye) {
    guard ending == nil else { return }
    ending = result
    for session in sessions.values { session.post(.goodbye(goodbye)) }
  }
}
