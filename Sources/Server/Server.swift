import Federation
import Foundation
import Synchronization
import Wire

/// A coordinator that can be reached: listens, and serves each connection in a task of its own.
package struct Server: Sendable {
  package let endpoint: Endpoint
  private let listener: Listener
  private let coordinator: Coordinator
  private let access: Access
  private let connectionLimiter: ConnectionLimiter
  private let lock: DatabaseLock
  private let observer: @Sendable (ServerEvent) -> Void

  /// Opens the port and the store's job, so that what is wrong shows before anything runs. `folder` is where the
  /// plan's file is; each side speaks every `heartbeat` at least.
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

  /// Opens the store's job, to be served at a port that is open; where that fails the port is closed.
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
    // Where the database could not be told, since it is what failed.
    if case .failure(let error as StoreError) = ending { lock.leave("\(error)") }
    listener.shutDown()
    // Every session still says goodbye; none is cut off.
    await serving
    // The number of the socket may be another's from now on, so nobody names it any more.
    listener.close()
    try ending.get()
    return await coordinator.current
  }

  /// Ends the run; the round goes on when a server is started on the same store.
  package func stop() async { await coordinator.stop() }

  /// Returns once the coordinator has answered: it is not stuck.
  package func answer() async { await coordinator.answer() }

  /// The clients whose connections are there, by name.
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
            // However fast unauthenticated peers come, no more of them are held than there are places.
            await evicted?.ended()
          case .full(let reason):
            if let reason { observer(.turnedAway(peer: connection.peer, reason: reason)) }
            await connection.close()
          }
        } catch WireError.closed {
          // Where the job has not ended, nobody would ever come again, and nobody would know.
          await coordinator.stop(
            because: WireError.address("\(endpoint)", reason: "nothing can connect there any more"))
          break
        } catch {
          // Too many descriptors are open: those that are served go on, and the next may wait.
          observer(.turnedAway(peer: "\(endpoint)", reason: "\(error)"))
          try? await Task.sleep(for: .seconds(1))
        }
      }
    }
  }
}

/// Something large for a task that is to let go of it as soon as it is used: what a closure captures lives as long as
/// the closure does.
final class Handover<Value: Sendable>: Sendable {
  private let value: Mutex<Value?>

  init(_ value: Value) { self.value = Mutex(value) }

  /// The value, which is not kept here any more. Once.
  func take() -> Value {
    value.withLock { value in
      guard let taken = value.take() else { preconditionFailure("taken twice") }
      return taken
    }
  }
}
