import Federation
import Foundation
import GRDB
import Server
import Wire

/// A server under virtual time, without sockets: the real coordinator, sessions and store on a ``VirtualRuntime``. A
/// crash loses everything except the files.
final class VirtualServer: @unchecked Sendable {
  let store: Store
  private let runtime: VirtualRuntime
  private let coordinator: Coordinator
  private let connectionLimiter = ConnectionLimiter(ConnectionLimiter.Limits())
  private var ends: [Int: VirtualConnection] = [:]
  /// How the run of the job ended.
  private(set) var ending: Result<Void, any Error>?

  /// Opens the job, and starts it at the first ``step()``.
  ///
  /// - Parameter observer: gets the events, with the store that contains them.
  init(
    _ plan: Plan, path: String, _ world: VirtualRuntime.World,
    observer: @escaping (ServerEvent, Store) -> Void
  ) throws {
    // Virtual time does not advance while waiting for a lock.
    store = try Store(path, patience: 0)
    runtime = VirtualRuntime(world)
    // Runs on the same thread.
    nonisolated(unsafe) let observer = observer
    coordinator = try Coordinator(
      plan, store: store, folder: URL(fileURLWithPath: path).deletingLastPathComponent(), threads: 1,
      runtime: runtime,
      calibration: { [runtime] draft, _, _ in
        try await runtime.compute("calibration") { (draft, loss: 1) }
      },
      observer: { [store] in observer($0, store) })
    runtime.start { [self] in
      do { ending = .success(try await coordinator.run()) } catch { ending = .failure(error) }
    }
  }

  /// Runs the next ready job. Returns false if there is none.
  func step() -> Bool { runtime.step() }

  func wake(_ sleeper: Int) { runtime.wake(sleeper) }

  /// Accepts a connection of a client.
  func accept(_ link: Int, _ connection: VirtualConnection) {
    guard case .welcome(let place, _) = connectionLimiter.enter(connection.peer, hangUp: {}) else {
      preconditionFailure("too many unauthenticated connections")
    }
    ends[link] = connection
    let session = Session(connection, coordinator, Access(), place)
    runtime.start { [self] in
      await session.run()
      ends[link] = nil
    }
  }

  func arrive(_ bytes: Data, on link: Int) { ends[link]?.arrive(bytes) }

  /// Makes the server notice that a connection is lost.
  func lose(_ link: Int) { ends[link]?.lose() }

  /// Returns whether the server has not noticed yet that a connection is lost.
  func holds(_ link: Int) -> Bool { ends[link]?.isClosed == false }

  /// Stops the server, so that nothing still running has any effect.
  func crash() {
    store.close()
    for (_, end) in ends.sorted(by: { $0.key < $1.key }) { end.lose() }
    runtime.die()
    runtime.start { [coordinator] in await coordinator.stop() }
    while step() {}
  }
}

/// Prevents a store from writing by holding the database's lock on another connection.
final class StoreLock {
  private let database: DatabaseQueue?

  init(_ path: String) {
    var configuration = Configuration()
    configuration.allowsUnsafeTransactions = true
    database = try? DatabaseQueue(path: path, configuration: configuration)
    try? database?.inDatabase { try $0.beginTransaction(.immediate) }
  }

  func release() {
    try? database?.inDatabase { if $0.isInsideTransaction { try $0.rollback() } }
    try? database?.close()
  }
}
