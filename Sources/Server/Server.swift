import Federation
import Foundation
import Synchronization
import Wire

/// A coordinator on the network. It listens, and serves each connection in a separate task.
package struct Server: Sendable {
  package let endpoint: Endpoint
  private let listener: Listener
  private let coordinator: Coordinator
  private let access: Access
  private let connectionLimiter: ConnectionLimiter
  private let lock: DatabaseLock
  private let observer: @Sendable (ServerEvent) -> Void

  /// Opens the port and the store's job, so that errors show before anything runs. `folder` is the folder of the plan's
  /// file; both sides send at least one message per `heartbeat`.
  ///
  /// Throws ``WireError``, ``StoreError`` or ``ServerError``.
  package init(
    _ plan: Plan, store: Store, folder: URL = .currentDirectory(), endpoint: Endpoint, threads: Int,
    access: Access = Access(),
    unauthenticated: ConnectionLimiter.Limits = ConnectionLimiter.Limits(),
    heartbeat: Duration = .seconds(WireLimits.heartbeatSeconds),
    observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) async throws {
    try self.init(
      plan, store: store, folder: folder, listener: try await Listener(endpoint), threads: threads,
      access: access, unauthenticated: unauthenticated, heartbeat: heartbeat, observer: observer)
  }

  /// Opens the store's job, to be served on a port that is already open. Closes the port on failure.
  ///
  /// Throws ``StoreError`` or ``ServerError``.
  package init(
    _ plan: Plan, store: Store, folder: URL, listener: Listener, threads: Int, access: Access,
    unauthenticated: ConnectionLimiter.Limits, heartbeat: Duration = .seconds(WireLimits.heartbeatSeconds),
    observer: @escaping @Sendable (ServerEvent) -> Void
  ) throws {
    do {
      lock = try DatabaseLock(store.path)
      try access.keep(in: store)
      coordinator = try Coordinator(
        plan, store: store, folder: folder, threads: threads, heartbeat: heartbeat, observer: observer)
    } catch {
      listener.close()
      throw error
    }
    (self.listener, endpoint) = (listener, listener.endpoint)
    (self.access, connectionLimiter, self.observer) = (access, ConnectionLimiter(unauthenticated), observer)
  }

  /// Runs the job to its end and returns the final model. Throws `CancellationError` after ``stop()``.
  package func run() async throws -> Snapshot {
    defer { lock.release() }
    observer(.listening(endpoint))
    let watch = Task { [access] in await access.watchEndings() }
    defer { watch.cancel() }
    async let serving: Void = serve()
    let ending: Result<Void, any Error>
    do { ending = .success(try await coordinator.run()) } catch { ending = .failure(error) }
    // The database has failed and cannot record the reason.
    if case .failure(let error as StoreError) = ending { lock.leave("\(error)") }
    listener.shutDown()
    // Waits until every session has sent its goodbye.
    await serving
    // No task uses the socket any more, whose descriptor another file may get from now on.
    listener.close()
    try ending.get()
    return await coordinator.current
  }

  /// Stops the run; the round continues when a server is started with the same store.
  package func stop() async { await coordinator.stop() }

  /// Returns when the coordinator has answered, which shows that it is not stuck.
  package func answer() async { await coordinator.answer() }

  /// Returns the connected clients, by name.
  package func connected() async -> [ConnectedClient] { await coordinator.connected() }

  private func serve() async {
    await withDiscardingTaskGroup { group in
      while true {
        do {
          let connection = try await listener.accept(
            limit: WireLimits.frameBeforeHello, tls: { [access] in access.context })
          switch connectionLimiter.enter(connection.host, hangUp: { Task { await connection.shutDown() } }) {
          case .welcome(let place, let evicted):
            group.addTask { await Session(connection, coordinator, access, place).run() }
            // Limits the unauthenticated connections to the number of places, however fast they arrive.
            await evicted?.ended()
          case .full(let reason):
            if let reason { observer(.turnedAway(peer: connection.peer, reason: reason)) }
            await connection.close()
          }
        } catch WireError.closed {
          // The job has not ended, but no client can connect any more.
          await coordinator.stop(
            because: WireError.address("\(endpoint)", reason: "the listening socket is closed"))
          break
        } catch {
          // Too many descriptors are open. Connected clients continue, and new ones must wait.
          observer(.turnedAway(peer: "\(endpoint)", reason: "\(error)"))
          try? await Task.sleep(for: .seconds(1))
        }
      }
    }
  }
}

/// Hands over a large value to a task that releases it as soon as it is used. A value captured by a closure would live
/// as long as the closure.
final class Handover<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  init(_ value: Value) { self.value = Mutex(value) }

  /// Returns the value and releases it here. May be called once.
  func take() -> Value {
    value.withLock { value in
      guard let taken = value.take() else { preconditionFailure("taken twice") }
      return taken
    }
  }
}
