import Datasets
import Foundation
import Testing

@Suite struct FileLockTests {
  private func withPath(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.appendingPathComponent("lock").path)
  }

  @Test func oneHasIt() throws {
    try withPath { path in
      #expect(FileLock.isHeld(path) == false)
      let lock = try FileLock(path)
      #expect(FileLock.isHeld(path) == true)
      let error = #expect(throws: FileLock.Failure.self) { try FileLock(path) }
      guard case .held(let owner)? = error else { throw Unexpected() }
      #expect(owner == "\(getpid())")
      lock.release()
      withExtendedLifetime(try FileLock(path)) { #expect(FileLock.isHeld(path) == true) }
      #expect(FileLock.isHeld(path) == false)
    }
  }

  @Test func aPlaceThatCannotHaveOneIsNamed() throws {
    try withPath { path in
      let error = #expect(throws: FileLock.Failure.self) { try FileLock(path + "/none") }
      guard case .unusable(let place, let reason)? = error else { throw Unexpected() }
      #expect(place == path + "/none" && reason == "No such file or directory")
    }
  }

  /// The disk space of the note is allocated in advance.
  @Test func aNoteNeedsNoRoomAndOutlivesTheLock() throws {
    try withPath { path in
      let lock = try FileLock(path)
      let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
      #expect(FileLock.note(path) == nil)
      #expect(lock.leave("what\nhappened"))
      #expect(lock.leave("what happened " + String(repeating: "x", count: 10_000)))
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == size)
      lock.release()
      #expect(!lock.leave("too late"))
      #expect(FileLock.note(path)?.hasPrefix("what happened x") == true)
      try FileLock(path).release()
      #expect(FileLock.note(path) == nil)
    }
  }

  private struct Unexpected: Error {}
}
