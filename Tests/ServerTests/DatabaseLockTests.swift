import Datasets
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct DatabaseLockTests {
  @Test func oneServerHasIt() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      _ = try Store(path)
      #expect(DatabaseLock.isHeld(of: path) == false)
      let lock = try DatabaseLock(path)
      #expect(DatabaseLock.isHeld(of: path) == true)
      let error = #expect(throws: StoreError.self) { try DatabaseLock(path) }
      #expect(error?.description == "\(path): another server uses it, process \(getpid())")
      // Checking the lock does not release it.
      #expect(DatabaseLock.isHeld(of: path) == true)
      lock.release()
      #expect(DatabaseLock.isHeld(of: path) == false)
      withExtendedLifetime(try DatabaseLock(path)) {}
    }
  }

  /// A server with a full disk cannot write a row; the block of its lock file is already allocated.
  @Test func theLastWordsOfAServerAreTheStatus() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let store = try Store(path)
      let engine = try JobEngine(Plan.tiny(), store: store, at: .zero)
      _ = engine.advance(at: .zero)
      try store.note(engine.status(since: Date(), at: .zero, Date()))
      let lock = try FileLock(path + "-spool/lock")
      lock.leave("database or disk\nis full")
      let running = try #require(try Store.status(of: path))
      #expect(running.isRunning && running.reason == nil)
      lock.release()
      let status = try #require(try Store.status(of: path))
      #expect(status.phase == .failed && status.reason == "database or disk is full" && !status.isRunning)
      #expect(status.doing == "the server ended: database or disk is full")
      // The next server writes a new status.
      try FileLock(path + "-spool/lock").release()
      #expect(try Store.status(of: path)?.phase == .recruiting)
    }
  }

  /// A second server would admit updates to the rounds of the first.
  @Test func aSecondServerIsRejected() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let plan = Plan.tiny(cohort: 1)
      try await withServer(plan, path) { server in
        await #expect(throws: StoreError.self) {
          try await Server(
            plan, store: try Store(path), endpoint: Endpoint(host: "127.0.0.1", port: 0), threads: 1)
        }
        #expect(DatabaseLock.isHeld(of: path) == true)
        await server.stop()
        _ = try? await server.result()
      }
      #expect(DatabaseLock.isHeld(of: path) == false)
    }
  }

  /// A copy has the server's last status, but is not marked as in use.
  @Test func aCopyIsNobodysWork() async throws {
    try await withTemporaryFolder { folder in
      let (path, copy) = (folder.appendingPathComponent("a").path, folder.appendingPathComponent("b").path)
      let store = try Store(path)
      let engine = try JobEngine(Plan.tiny(), store: store, at: .zero)
      _ = engine.advance(at: .zero)
      let lock = try DatabaseLock(path)
      try store.note(engine.status(since: Date(), at: .zero, Date()))
      for file in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + file, toPath: copy + file) }
      #expect(try Store.status(of: path)?.isRunning == true)
      #expect(try Store.status(of: copy)?.isRunning == false)
      lock.release()
      #expect(try Store.status(of: path)?.isRunning == false, "its process is there still")
    }
  }
}
