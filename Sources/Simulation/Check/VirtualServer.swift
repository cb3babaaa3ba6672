import Federation
import Foundation
import GRDB
import Server
import Wire

/// A server under virtual time, without sockets: the real coordinator, sessions and store on a ``VirtualRuntime``. A crash
/// loses everything but the files.
final class VirtualServer: @unchecked Sendable {
  let store: Store
  private let runtime: VirtualRuntime
  private let coordinator: Coordinator
  private let connectionLimiter = ConnectionLimiter(ConnectionLimiter.Limits())
  private var ends: [Int: VirtualConnection] = [:]
  /// How the job's run ended here.
  private(set) var ending: Result<Void, any Error>?

  /// Opens the job, and begins to run it at the first ``step()``.
  ///
  /// - Parameter observer: hears of what happens, with the store that has it.
  init(
    _ plan: Plan, path: String, _ world: VirtualRuntime.World,
    observer: @escaping (ServerEvent, Store) -> Void
  ) throws {
    // Nothing passes while the lock of another is waited for.
    store = try Store(path, patience: 0)
    runtime = VirtualRuntime(world)
    // The thread is the same.
    nonisolated(unsafe) let observer = observer
    coordinator = try Coordinator(
      plan, store: store, threads: 1, runtime: runtime,
      calibration: { [runtime] draft, _, _ in
        try await runtime.compute("calibration") { (draft, loss: 1) }
      },
      observer: { [store] in observer($0, store) })
    runtime.start { [self] in
      do { ending = .success(try await coordinator.run()) } catch { ending = .failure(error) }
    }
  }

  /// Does the next thing that is ready. Returns false where nothing is.
  func step() -> Bool { runtime.step() }

  func wake(_ sleeper: Int) { runtime.wake(sleeper) }

  /// A client has connected.
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

  /// A connection is gone, as far as the server notices.
  func lose(_ link: Int) { ends[link]?.lose() }

  /// Whether the server has not noticed that a connection is gone.
  func holds(_ link: Int) -> Bool { ends[link]?.isClosed == false }

  /// Nothing that still runs has any effect.
  func crash() {
    store.close()
    for (_, end) in ends.sorted(by: { $0.key < $1.key }) { end.lose() }
    runtime.die()
    runtime.start { [coordinator] in await coordinator.stop() }
    while step() {}
  }
}

/// Keeps a store from writing: another connection holds the database's lock.
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
