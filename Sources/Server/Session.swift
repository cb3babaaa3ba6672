import Federation
import Foundation
import Synchronization
import Wire

/// One connection at the server: reads what the client says, writes what is queued for it.
final class Session: Sendable {
  private let connection: Connection
  private let coordinator: Coordinator
  private let outbox: AsyncStream<Outgoing>
  private let queue: AsyncStream<Outgoing>.Continuation
  /// Layers that wait in the queue.
  private let waitingLayers = Mutex(0)
  /// When the client was last heard, and how long it may be silent: less before its hello.
  private let heard = Mutex((last: ContinuousClock.now, silence: Duration.seconds(WireLimits.helloSeconds)))

  /// What waits to be written. A layer is cut into pieces only as it is written.
  private enum Outgoing: Sendable {
    case message(Message)
    case layer(Fetch, Data)
  }

  /// Layers that a client may ask for ahead of reading them: far more than a model has parts.
  private static let mostWaitingLayers = 1024

  /// What the session may know of its client, and an update that is on its way.
  private struct State {
    var client: String?
    var offer: UpdateOffer?
    var received = Data()
  }

  init(_ connection: Connection, _ coordinator: Coordinator) {
    (self.connection, self.coordinator) = (connection, coordinator)
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
  }

  // MARK: - Reading

  private func read() async {
    var state = State()
    var reason = "it closed the connection"
    do {
      while true {
        let message = try await connection.receive()
        heard.withLock { $0.last = .now }
        if case .goodbye(let goodbye) = message {
          reason = "\(goodbye.reason.rawValue) \(goodbye.detail)"
          break
        }
        try await handle(message, &state)
      }
    } catch WireError.closed {
    } catch {
      reason = "\(error)"
      try? await connection.send(.goodbye(Goodbye(.protocolError, reason)))
    }
    if let client = state.client {
      await coordinator.leave(client, self, reason: reason)
    } else {
      await coordinator.noteTurnedAway(peer, reason: reason)
    }
  }

  private func handle(_ message: Message, _ state: inout State) async throws {
    guard let client = state.client else {
      guard case .hello(let hello) = message else { throw UnexpectedMessage("\(message.name) before hello") }
      let answer = try await coordinator.join(hello, self)
      if case .goodbye = answer { return post(answer) }
      state.client = hello.name
      heard.withLock { $0.silence = .seconds(3 * WireLimits.heartbeatSeconds) }
      await connection.setLimit(WireLimits.frame)
      return
    }
    switch message {
    case .heartbeat(let heartbeat):
      await coordinator.note(heartbeat, from: client)
      // Not behind the layers in the queue: the client counts on an answer.
      try await connection.send(.heartbeat(Heartbeat()))
    case .fetch(let fetch): try await answer(fetch)
    case .offer(let offer):
      if try await coordinator.consider(offer, from: client) {
        (state.offer, state.received) = (offer, Data(capacity: offer.bytes))
      }
    case .update(let head, let bytes): try await take(head, bytes, from: client, &state)
    case .decline(let decline): await coordinator.take(decline, from: client)
    default: throw UnexpectedMessage("\(message.name) from a client")
    }
  }

  private func answer(_ fetch: Fetch) async throws {
    guard let weights = await coordinator.weights(fetch.digest) else {
      // The round has moved on meanwhile; the next assignment names what to fetch.
      return
    }
    guard fetch.offset >= 0, fetch.offset <= weights.count else {
      throw UnexpectedMessage("a fetch from offset \(fetch.offset) of \(weights.count)")
    }
    let waiting = waitingLayers.withLock {
      $0 += 1
      return $0
    }
    guard waiting <= Self.mostWaitingLayers else { throw UnexpectedMessage("\(waiting) fetches at once") }
    queue.yield(.layer(fetch, weights))
  }

  private func take(
    _ head: UpdateData, _ bytes: Data, from client: String, _ state: inout State
  ) async throws {
    // The tail of an update that was not asked for, or not any more.
    guard let offer = state.offer, offer.digest == head.digest else { return }
    guard head.offset == state.received.count, bytes.count <= offer.bytes - head.offset else {
      throw UnexpectedMessage("\(bytes.count) bytes at \(head.offset) of an update of \(offer.bytes)")
    }
    state.received.append(bytes)
    guard state.received.count == offer.bytes else { return }
    let received = state.received
    (state.offer, state.received) = (nil, Data())
    try await coordinator.receive(offer, received, fault: Self.fault(of: received, offer), from: client)
  }

  /// What is wrong with an update's bytes.
  private static func fault(of bytes: Data, _ offer: UpdateOffer) -> Refusal? {
    guard Digest(of: bytes) == offer.digest else { return .wrongDigest }
    let isFinite = bytes.withUnsafeBytes { $0.bindMemory(to: Float.self).allSatisfy(\.isFinite) }
    return isFinite ? nil : .notFinite
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
        case .layer(let fetch, let weights):
          waitingLayers.withLock { $0 -= 1 }
          try await send(weights, fetch)
        }
      } catch {
        return
      }
    }
  }

  /// Sends a layer from the offset on, in pieces, so that a heartbeat never waits behind the whole.
  private func send(_ weights: Data, _ fetch: Fetch) async throws {
    var offset = fetch.offset
    repeat {
      let end = min(offset + WireLimits.chunk, weights.count)
      let piece = Data(weights[(weights.startIndex + offset)..<(weights.startIndex + end)])
      try await connection.send(
        .layer(LayerData(digest: fetch.digest, offset: offset, total: weights.count), piece))
      offset = end
    } while offset < weights.count
  }

  /// Ends a connection on which nothing is heard.
  private func watch() async {
    while !Task.isCancelled {
      let deadline = heard.withLock { $0.last + $0.silence }
      if ContinuousClock.now >= deadline { return await connection.shutDown() }
      try? await Task.sleep(until: deadline, clock: .continuous)
    }
  }
}
