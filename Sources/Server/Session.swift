import Federation
import Foundation
import Synchronization
import Wire

/// A connection at the server. It reads the client's messages and writes the queued ones.
package final class Session: Sendable {
  private let connection: any MessageConnection
  private let coordinator: Coordinator
  private let runtime: any ServerRuntime
  private let updates: UpdateSpool
  private let access: Access
  private let place: ConnectionLimiter.Place
  private let outbox: AsyncStream<Outgoing>
  private let queue: AsyncStream<Outgoing>.Continuation
  private let state = Mutex(State())

  private struct State {
    var isKnown = false
    /// The numbers of queued messages and layers, and of those being written.
    var messages = 0
    var layers = 0
    var writing = 0
    var isAnswering = false
    /// Whether further messages are ignored.
    var isDismissed = false
    /// The reason why this side closes the connection.
    var reason: String?
  }

  /// An entry of the write queue. A layer is split into pieces when it is written.
  private enum Outgoing: Sendable {
    case message(Message)
    case layer(OutgoingLayer, from: Int)
  }

  /// The maximum number of queued layers, far more than a model has parts.
  package static let mostWaitingLayers = 1024
  /// The maximum number of queued messages; a round needs a few.
  package static let mostWaitingMessages = 256
  /// How long a client may take to close the connection after a goodbye.
  private static let farewell = Duration.seconds(5)

  /// - Parameter place: the connection's place at the limiter, released as soon as the client is authenticated.
  package init(
    _ connection: any MessageConnection, _ coordinator: Coordinator, _ access: Access,
    _ place: ConnectionLimiter.Place
  ) {
    (self.connection, self.coordinator, self.access) = (connection, coordinator, access)
    (self.place, runtime, updates) = (place, coordinator.runtime, coordinator.updates)
    (outbox, queue) = AsyncStream.makeStream()
  }

  var peer: String { connection.peer }
  var traffic: Traffic { connection.traffic }

  /// Queues a message; a goodbye is the last. Closes the connection if the client does not read its messages.
  func post(_ message: Message) {
    let waiting = state.withLock { state in
      state.messages += 1
      return state.messages
    }
    guard waiting <= Self.mostWaitingMessages else {
      return hangUp("it does not read: \(Self.mostWaitingMessages) messages are queued for it")
    }
    queue.yield(.message(message))
  }

  /// The time since the last message was received.
  var silence: Duration { connection.silence }

  /// Ignores all further messages, because another connection has taken the client's name or the client has exceeded a
  /// limit. Queues a goodbye with the reason.
  func dismiss(_ goodbye: Goodbye) {
    state.withLock { ($0.isDismissed, $0.reason) = (true, goodbye.detail) }
    post(.goodbye(goodbye))
  }

  /// Serves the connection to its end.
  package func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.write() }
      group.addTask { await self.watch() }
      await self.read()
      await self.connection.shutDown()
      self.queue.finish()
      group.cancelAll()
    }
    await connection.close()
    place.finish()
  }

  private func hangUp(_ reason: String) {
    let isFirst = state.withLock { state in
      defer { state.reason = state.reason ?? reason }
      return state.reason == nil
    }
    if isFirst { runtime.start { [connection] in await connection.shutDown() } }
  }

  // MARK: - Reading

  /// Sends the last message of the connection within a limited time, since the client may not be reading.
  private func sendLast(_ goodbye: Goodbye) async {
    let timer = runtime.start { [runtime, connection] in
      guard (try? await runtime.sleep(until: runtime.now + Self.farewell)) != nil else { return }
      await connection.shutDown()
    }
    try? await connection.send(.goodbye(goodbye))
    timer.cancel()
  }

  private func read() async {
    var (conversation, arrival) = (Conversation(), UpdateArrival())
    var limiter = MessageLimiter()
    var reason = "it closed the connection"
    do {
      try await connection.shakeHands()
      let identity = await connection.identity
      while true {
        let message = try await connection.receive()
        // The goodbye is already queued.
        if state.withLock({ $0.isDismissed }) { continue }
        if case .goodbye(let goodbye) = message {
          reason = "\(goodbye.reason.rawValue) \(goodbye.detail)"
          break
        }
        if let identity, let goodbye = try access.rejection(of: identity) {
          reason = goodbye.detail
          await sendLast(goodbye)
          break
        }
        let now = runtime.now
        let pause = limiter.pause(before: message, at: now)
        if pause > .zero { try await runtime.sleep(until: now + pause) }
        do {
          try await perform(
            try conversation.hear(message), identity, &conversation, arrival, &limiter)
        } catch let error as TooManyInVain {
          guard let client = conversation.client else { throw error }
          await coordinator.rest(client, self)
          dismiss(Goodbye(.rejected, error.description))
          await coordinator.leave(client, self, reason: error.description)
        } catch is ConnectionReplaced {
          // The goodbye is already queued.
          continue
        }
      }
    } catch WireError.closed {
      if let ending = state.withLock({ $0.reason }) {
        reason = ending
      } else if place.isLost {
        reason = "it was unauthenticated, and was replaced by a newer connection"
      }
    } catch let error as WireError where error.isSilence {
      reason = "\(error)"
    } catch let error as StoreError {
      reason = "\(error)"
      await coordinator.stop(because: error)
    } catch WireError.tls(let failure) {
      reason = failure.description
    } catch {
      reason = "\(error)"
      await sendLast(Goodbye(.protocolError, reason))
    }
    if let client = conversation.client {
      await coordinator.leave(client, self, reason: reason)
    } else if !conversation.isEnrolling {
      await coordinator.noteTurnedAway(peer, reason: reason)
    }
  }

  private func perform(
    _ actions: [Conversation.Action], _ identity: PeerIdentity?, _ conversation: inout Conversation,
    _ arrival: UpdateArrival, _ limiter: inout MessageLimiter
  ) async throws {
    for action in actions {
      if case .join(let hello) = action {
        if let goodbye = try access.rejection(of: hello.name, identity) { return post(.goodbye(goodbye)) }
        if let goodbye = await coordinator.join(hello, self) { return post(.goodbye(goodbye)) }
        conversation.admit(hello.name)
        place.leave()
        state.withLock { $0.isKnown = true }
        await connection.setLimit(WireLimits.frame)
        if let identity { await coordinator.note(identity) }
      } else if case .enrol(let request) = action {
        try await enrol(request)
      } else if let client = conversation.client {
        try await perform(action, client, &conversation, arrival, &limiter)
      }
    }
  }

  /// Answers the enrolment of a new device. Codes are accepted over TLS only.
  private func enrol(_ request: EnrolmentRequest) async throws {
    guard connection.isSecret else {
      return post(.goodbye(Goodbye(.rejected, "this server does not issue certificates")))
    }
    do {
      let certificate = try access.enrol(request)
      await coordinator.noteEnrolled(request.name, peer)
      post(.certificate(certificate))
      post(.goodbye(Goodbye(.finished)))
    } catch let error as Access.EnrolmentRejected {
      await coordinator.noteTurnedAway(peer, reason: "enrolment of \(request.name.prefix(64)): \(error)")
      post(.goodbye(Goodbye(.rejected, "\(error)")))
    }
  }

  private func perform(
    _ action: Conversation.Action, _ client: String, _ conversation: inout Conversation,
    _ arrival: UpdateArrival, _ limiter: inout MessageLimiter
  ) async throws {
    switch action {
    case .join, .enrol: break
    case .heartbeat(let heartbeat):
      // The coordinator may be waiting for the disk; the client must not.
      answerHeartbeat()
      try await coordinator.note(heartbeat, from: client, self)
    case .serve(let fetch):
      if try await answer(fetch) { return }
      try limiter.noteVain(at: runtime.now)
    case .decline(let decline):
      if try await coordinator.take(decline, from: client, self) { return }
      try limiter.noteVain(at: runtime.now)
    case .consider(let offer):
      guard try await coordinator.consider(offer, from: client, self) else {
        return try limiter.noteVain(at: runtime.now)
      }
      try await request(offer, from: client, &conversation, arrival, &limiter)
    case .write(let bytes, let offset, _):
      try arrival.take(bytes, at: offset)
    case .finish(let offer, let wasResumed):
      let fault = try await fault(of: offer, arrival.finish(offer), from: client)
      // A power failure may have damaged the part received earlier; then all bytes are requested again.
      if fault == .wrongDigest && wasResumed {
        updates.discard(offer, from: client)
        return try await request(offer, from: client, &conversation, arrival, &limiter)
      }
      try await coordinator.receive(offer, fault: fault, from: client, self)
      if fault != nil { try limiter.noteVain(at: runtime.now) }
    }
  }

  /// Answers a heartbeat directly, not behind the queued layers, because the client depends on it. Does not block
  /// reading if the client does not read; one pending answer is enough.
  private func answerHeartbeat() {
    let isAnswering = state.withLock { state in
      defer { state.isAnswering = true }
      return state.isAnswering
    }
    guard !isAnswering else { return }
    runtime.start { [self] in
      try? await writing { try await connection.send(.heartbeat(Heartbeat())) }
      state.withLock { $0.isAnswering = false }
    }
  }

  /// Returns the fault of an update that has arrived; nil if there is none.
  private func fault(
    of offer: UpdateOffer, _ receipt: UpdateReceipt?, from client: String
  ) async throws -> Rejection? {
    guard let check = try await coordinator.check(offer, from: client, self) else { return .wrongRound }
    return try await runtime.access { [updates] in
      // Another connection with the client's name may have taken the file, too.
      guard updates.holds(offer, from: client) else { return .wrongDigest }
      return try check.rejection(of: updates.arrived(offer, from: client), receipt)
    }
  }

  private func request(
    _ offer: UpdateOffer, from client: String, _ conversation: inout Conversation, _ arrival: UpdateArrival,
    _ limiter: inout MessageLimiter
  ) async throws {
    let (request, actions) = conversation.begin(offer, at: updates.begin(offer, from: client))
    arrival.begin(in: try updates.open(offer, from: client))
    post(request)
    for action in actions { try await perform(action, client, &conversation, arrival, &limiter) }
  }

  /// Answers a fetch. Returns false if the layer does not exist any more, because the round has advanced meanwhile; the
  /// next assignment names the layers to fetch.
  private func answer(_ fetch: Fetch) async throws -> Bool {
    guard let layer = await coordinator.layer(fetch.digest) else { return false }
    guard fetch.offset >= 0, fetch.offset <= layer.bytes.count else {
      throw UnexpectedMessage("a fetch from offset \(fetch.offset) of \(layer.bytes.count)")
    }
    let waiting = state.withLock { state in
      state.layers += 1
      return state.layers
    }
    guard waiting <= Self.mostWaitingLayers else { throw UnexpectedMessage("\(waiting) fetches at once") }
    queue.yield(.layer(layer, from: fetch.offset))
    return true
  }

  // MARK: - Writing

  private func write() async {
    for await outgoing in outbox {
      do {
        switch outgoing {
        case .message(let message):
          state.withLock { $0.messages -= 1 }
          try await writing { try await connection.send(message) }
          guard case .goodbye = message else { continue }
          // Gives the client time to read the goodbye and close the connection.
          try? await runtime.sleep(until: runtime.now + Self.farewell)
          return await connection.shutDown()
        case .layer(let layer, let first):
          state.withLock { $0.layers -= 1 }
          try await writing {
            for offset in layer.offsets(from: first) { try await connection.send(layer.frame(at: offset)) }
          }
        }
      } catch {
        return
      }
    }
  }

  private func writing(_ body: () async throws -> Void) async throws {
    state.withLock { $0.writing += 1 }
    defer { state.withLock { $0.writing -= 1 } }
    try await body()
  }

  // MARK: - Timeouts

  /// Closes the connection of a peer that sends no hello in time, of a client that is silent for three heartbeats, and
  /// of a client that does not accept sent bytes for as long.
  private func watch() async {
    let (start, limit) = (runtime.now, WireLimits.silence(heartbeat: coordinator.heartbeat))
    var silence: SilenceWatch?
    var (taken, takenAt) = (0, start)
    while !Task.isCancelled {
      let now = runtime.now
      let (isKnown, isWriting) = state.withLock { ($0.isKnown, $0.writing > 0) }
      var next = now + coordinator.heartbeat
      if isKnown {
        let signs = await connection.signs(at: now)
        var watch = silence ?? SilenceWatch(limit, signs, at: now)
        guard let look = watch.look(signs, at: now) else { return await connection.giveUp(after: limit) }
        silence = watch
        if signs.acknowledged > taken || !isWriting { takenAt = now }
        taken = signs.acknowledged
        // Twice the limit, so that a client that is also silent is reported as silent.
        guard now < takenAt + limit * 2 else {
          return hangUp("it has received nothing of the sent data for \((limit * 2).seconds) s")
        }
        next = isWriting ? min(look, takenAt + limit * 2, next) : look
      } else {
        let deadline = start + .seconds(WireLimits.helloSeconds)
        guard now < deadline else {
          return hangUp("it sent no hello within \(WireLimits.helloSeconds) s")
        }
        next = min(next, deadline)
      }
      do { try await runtime.sleep(until: next) } catch { return }
    }
  }
}

/// The error of a connection whose client has connected again; its messages are ignored.
struct ConnectionReplaced: Error {}

/// A connected client.
package struct ConnectedClient: Sendable {
  package let name: String
  /// The bytes received from the client and sent to it that the store does not count yet.
  package let received: Int
  package let sent: Int
  /// The time since its last message.
  package let silence: Duration
  package let activity: ClientActivity
  /// The progress of its training in the last heartbeat; nil if it does not train.
  package let step: Int?
  package let steps: Int?
  /// The bytes of the update in transfer, and of the part that has arrived; nil if there is none.
  package let update: (bytes: Int, here: Int)?
  /// The resident memory of its process in bytes, as last reported; nil if it does not report it.
  package let memory: Int?

  package init(
    name: String, received: Int, sent: Int, silence: Duration, activity: ClientActivity = .idle,
    step: Int? = nil, steps: Int? = nil, update: (bytes: Int, here: Int)? = nil, memory: Int? = nil
  ) {
    (self.name, self.received, self.sent, self.silence) = (name, received, sent, silence)
    (self.activity, self.step, self.steps, self.update) = (activity, step, steps, update)
    self.memory = memory
  }
}
