import Federation
import Foundation
import Synchronization
import Wire

/// One connection at the server: reads what the client says, writes what is queued for it.
final class Session: Sendable {
  private let connection: Connection
  private let coordinator: Coordinator
  private let updates: UpdateSpool
  private let access: Access
  private let place: Doorstep.Place
  private let outbox: AsyncStream<Outgoing>
  private let queue: AsyncStream<Outgoing>.Continuation
  /// Layers that wait in the queue.
  private let waitingLayers = Mutex(0)
  /// When the client was last heard, and how long it may be silent: less before its hello.
  private let heard = Mutex(
    (last: ContinuousClock.now, silence: Duration.seconds(WireLimits.helloSeconds), isKnown: false))

  /// What waits to be written. A layer is cut into pieces only as it is written.
  private enum Outgoing: Sendable {
    case message(Message)
    case layer(OutgoingLayer, from: Int)
  }

  /// Layers that a client may ask for ahead of reading them: far more than a model has parts.
  private static let mostWaitingLayers = 1024

  /// - Parameter place: the connection's on the doorstep, which it gives back as soon as it is known.
  init(
    _ connection: Connection, _ coordinator: Coordinator, _ updates: UpdateSpool, _ access: Access,
    _ place: Doorstep.Place
  ) {
    (self.connection, self.coordinator, self.updates) = (connection, coordinator, updates)
    (self.access, self.place) = (access, place)
    (outbox, queue) = AsyncStream.makeStream()
  }

  var peer: String { connection.peer }
  var traffic: Traffic { connection.traffic }

  /// Queues a message; a goodbye is the last.
  func post(_ message: Message) { queue.yield(.message(message)) }

  /// How long nothing was heard.
  var silence: Duration { ContinuousClock.now - heard.withLock { $0.last } }

  /// Serves the connection to its end.
  func run() async {
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

  // MARK: - Reading

  private func read() async {
    var (conversation, arrival) = (Conversation(), UpdateArrival())
    var reason = "it closed the connection"
    do {
      try await connection.shakeHands()
      let identity = await connection.identity
      while true {
        let message = try await connection.receive()
        heard.withLock { $0.last = .now }
        if case .goodbye(let goodbye) = message {
          reason = "\(goodbye.reason.rawValue) \(goodbye.detail)"
          break
        }
        if let identity, let goodbye = try access.objection(to: identity) {
          reason = goodbye.detail
          try? await connection.send(.goodbye(goodbye))
          break
        }
        try await perform(try conversation.hear(message), identity, &conversation, arrival)
      }
    } catch WireError.closed {
      if place.isLost { reason = "it was silent, and others wanted its place" }
    } catch let error as StoreError {
      reason = "\(error)"
      await coordinator.stop(because: error)
    } catch WireError.tls(let failure) {
      reason = failure.description
    } catch {
      reason = "\(error)"
      try? await connection.send(.goodbye(Goodbye(.protocolError, reason)))
    }
    if let client = conversation.client {
      await coordinator.leave(client, self, reason: reason)
    } else if !conversation.isEnrolling {
      await coordinator.noteTurnedAway(peer, reason: reason)
    }
  }

  private func perform(
    _ actions: [Conversation.Action], _ identity: PeerIdentity?, _ conversation: inout Conversation,
    _ arrival: UpdateArrival
  ) async throws {
    for action in actions {
      if case .join(let hello) = action {
        if let goodbye = try access.refusal(of: hello.name, identity) { return post(.goodbye(goodbye)) }
        if let goodbye = await coordinator.join(hello, self) { return post(.goodbye(goodbye)) }
        conversation.admit(hello.name)
        place.leave()
        heard.withLock { ($0.silence, $0.isKnown) = (.seconds(3 * WireLimits.heartbeatSeconds), true) }
        await connection.setLimit(WireLimits.frame)
        if let identity { await coordinator.note(identity) }
      } else if case .enrol(let request) = action {
        try await enrol(request)
      } else if let client = conversation.client {
        try await perform(action, client, &conversation, arrival)
      }
    }
  }

  /// Answers a new box. A code travels in the open nowhere.
  private func enrol(_ request: EnrolmentRequest) async throws {
    guard connection.isSecret else {
      return post(.goodbye(Goodbye(.refused, "certificates are not issued here")))
    }
    do {
      let certificate = try access.enrol(request)
      await coordinator.noteEnrolled(request.name, peer)
      post(.certificate(certificate))
      post(.goodbye(Goodbye(.finished)))
    } catch let error as Access.EnrolmentRefused {
      await coordinator.noteTurnedAway(peer, reason: "\(request.name.prefix(64)) wants to enrol: \(error)")
      post(.goodbye(Goodbye(.refused, "\(error)")))
    }
  }

  private func perform(
    _ action: Conversation.Action, _ client: String, _ conversation: inout Conversation,
    _ arrival: UpdateArrival
  ) async throws {
    switch action {
    case .join, .enrol: break
    case .heartbeat(let heartbeat):
      await coordinator.note(heartbeat, from: client)
      // Not behind the layers in the queue: the client counts on an answer.
      try await connection.send(.heartbeat(Heartbeat()))
    case .serve(let fetch): try await answer(fetch)
    case .decline(let decline): await coordinator.take(decline, from: client)
    case .consider(let offer):
      guard await coordinator.consider(offer, from: client) else { return }
      try await request(offer, from: client, &conversation, arrival)
    case .write(let bytes, let offset, _):
      try arrival.take(bytes, at: offset)
    case .finish(let offer, let wasResumed):
      let fault = try await fault(of: offer, arrival.finish(offer), from: client)
      // What an earlier connection left may be damaged, by a power cut: then all of it is asked for.
      if fault == .wrongDigest && wasResumed {
        updates.discard(offer, from: client)
        return try await request(offer, from: client, &conversation, arrival)
      }
      await coordinator.receive(offer, fault: fault, from: client, self)
    }
  }

  /// What is wrong with an update that has come; nil where nothing is.
  private func fault(
    of offer: UpdateOffer, _ receipt: UpdateReceipt?, from client: String
  ) async throws -> Refusal? {
    guard let check = await coordinator.check(offer, from: client) else { return .wrongRound }
    return try await updates.beside { [updates] in
      try check.refusal(of: updates.arrived(offer, from: client), receipt)
    }
  }

  private func request(
    _ offer: UpdateOffer, from client: String, _ conversation: inout Conversation, _ arrival: UpdateArrival
  ) async throws {
    let (request, actions) = conversation.begin(offer, at: updates.begin(offer, from: client))
    arrival.begin(in: try updates.open(offer, from: client))
    post(request)
    for action in actions { try await perform(action, client, &conversation, arrival) }
  }

  private func answer(_ fetch: Fetch) async throws {
    guard let layer = await coordinator.layer(fetch.digest) else {
      // The round has moved on meanwhile; the next assignment names what to fetch.
      return
    }
    guard fetch.offset >= 0, fetch.offset <= layer.bytes.count else {
      throw UnexpectedMessage("a fetch from offset \(fetch.offset) of \(layer.bytes.count)")
    }
    let waiting = waitingLayers.withLock {
      $0 += 1
      return $0
    }
    guard waiting <= Self.mostWaitingLayers else { throw UnexpectedMessage("\(waiting) fetches at once") }
    queue.yield(.layer(layer, from: fetch.offset))
  }

  // MARK: - Writing

  private func write() async {
    for await outgoing in outbox {
      do {
        switch outgoing {
        case .message(let message):
          try await connection.send(message)
          guard case .goodbye = message else { continue }
          // The client closes when it has read this; one that does not is not waited for.
          try? await Task.sleep(for: .seconds(5))
          return await connection.shutDown()
        case .layer(let layer, let first):
          waitingLayers.withLock { $0 -= 1 }
          for offset in layer.offsets(from: first) { try await connection.send(layer.frame(at: offset)) }
        }
      } catch {
        return
      }
    }
  }

  /// Ends a connection on which nothing is heard. A client's bytes are a sign of life also where they are not a whole
  /// message yet: a piece of an update can take a slow link longer than the silence that is allowed.
  private func watch() async {
    var received = 0
    while !Task.isCancelled {
      let (last, silence, isKnown) = heard.withLock { $0 }
      if ContinuousClock.now >= last + silence {
        // A stranger has its seconds, however slowly it speaks.
        guard isKnown, connection.traffic.received > received else { return await connection.shutDown() }
        received = connection.traffic.received
        heard.withLock { $0.last = .now }
      }
      try? await Task.sleep(until: heard.withLock { $0.last + $0.silence }, clock: .continuous)
    }
  }
}
