import Engine
import Foundation

/// Runs federations under faults (``VirtualFederation``), one a seed.
package enum Check {
  /// How a seed's federation went.
  package struct Outcome: Sendable {
    package let seed: UInt64
    package let rounds: Int
    /// Updates that came late and were folded in.
    package let late: Int
    package let events: Int
    /// What did not hold; nil where everything did.
    package let failure: String?
  }

  /// Runs the federation of one seed, in a folder that is gone afterwards; `frame` gets every frame that is
  /// sent.
  @discardableResult
  package static func run(
    seed: UInt64, frame: @escaping @Sendable (Data) -> Void = { _ in }
  ) async throws -> Outcome {
    // The server's tasks run on this one thread, which must not be in the midst of another task.
    try await TrainingThread.run("seed \(seed)") { try federation(seed, frame) }
  }

  private static func federation(_ seed: UInt64, _ frame: @escaping (Data) -> Void) throws -> Outcome {
    let folder = Self.temporary.appendingPathComponent("strata-check-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let federation = VirtualFederation(seed: seed, folder: folder)
    federation.observer = frame
    federation.run()
    federation.end()
    return Outcome(
      seed: seed, rounds: federation.checker.rounds, late: federation.checker.late, events: federation.events,
      failure: federation.checker.failure)
  }

  /// In memory where the system has such a place: thousands of databases need not reach a disk.
  private static var temporary: URL {
    let memory = URL(fileURLWithPath: "/dev/shm", isDirectory: true)
    return FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
  }
}
