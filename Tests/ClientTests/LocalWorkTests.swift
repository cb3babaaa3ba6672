import Client
import DataFiles
import Datasets
import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct LocalWorkTests {
  /// Returns a folder of eight images, the last `cutOff` of which have a complete header and no pixels.
  private func images(cutOff: Int) throws -> (files: TestFiles, ImageSet) {
    let files = try TestFiles()
    for index in 0..<8 {
      let file = try Make.png(Make.noise(64, seed: UInt64(index)), height: 8, width: 8, channels: 1)
      try files.write("\(index).png", index < 8 - cutOff ? file : Array(file.dropLast(30)))
    }
    let spec = try DataSpec(parsing: "folder:\(files.path)")
    return (files, try spec.load(role: .train, for: ImageFit(size: 8, channels: 1)))
  }

  /// Sends a round to a client with such images, and passes its reaction to `body`.
  private func withRound(
    cutOff: Int, _ body: (ScriptedServer, ScriptedSession, Snapshot) async throws -> Void
  ) async throws {
    let (files, set) = try images(cutOff: cutOff)
    defer { withExtendedLifetime(files) {} }
    let plan = Plan.tiny()
    try await withClient(plan, of: set) { server in
      let (session, snapshot) = (try await server.welcome(), plan.snapshot())
      try await session.send(.assignment(Assignment(snapshot)))
      try await body(server, session, snapshot)
    }
  }

  /// Unreadable images are replaced by others, which must not increase the weight in the mean.
  @Test func anUpdateCountsByTheImagesThatCouldBeRead() async throws {
    try await withRound(cutOff: 3) { server, session, snapshot in
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      #expect(offer.samples == 5)
      try await server.finish(session)
    }
  }

  @Test func aClientThatCanReadNextToNothingEnds() async throws {
    try await withRound(cutOff: 7) { server, session, snapshot in
      // The layers are fetched, and no offer follows.
      await #expect(throws: WireError.self) { while true { _ = try await session.serve(snapshot) } }
      let error = await #expect(throws: ClientError.self) { try await server.running.value }
      guard case .data(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(
        reason.hasPrefix("1 of 8 images can be read, and two are needed: 7 broken files are left out"))
    }
  }
}
