import TestSupport
import Client
import Foundation
import Testing
import Wire

@Suite struct ByteMeterTests {
  private let day = "2026-11-23"

  private func file(_ folder: URL) -> URL { folder.appendingPathComponent("bytes.json") }

  @Test func aRestartForgetsNothing() async throws {
    try await withTemporaryFolder { folder in
      for run in 1...3 {
        let traffic = Traffic()
        var meter = ByteMeter(folder)
        #expect(meter.spent(on: day) == (run - 1) * 70)
        traffic.set((received: 40, sent: 10))
        try meter.note(traffic, on: day)
        traffic.set((received: 40, sent: 30))
        try meter.note(traffic, on: day)
        #expect(meter.spent(on: day) == run * 70, "each byte once")
        try meter.save()
      }
      #expect(ByteMeter(folder).spent(on: "2026-11-24") == 0)
    }
  }

  @Test func theFileIsNotWrittenForEveryByte() async throws {
    try await withTemporaryFolder { folder in
      let traffic = Traffic()
      var meter = ByteMeter(folder)
      for piece in 1...100 {
        traffic.set((received: 1000 * piece, sent: 0))
        try meter.note(traffic, on: day)
      }
      #expect(!FileManager.default.fileExists(atPath: file(folder).path))
      try meter.save(from: 100_001)
      #expect(!FileManager.default.fileExists(atPath: file(folder).path))
      // A transfer of some length must survive a crash.
      traffic.set((received: 100_000 + (1 << 20), sent: 0))
      try meter.note(traffic, on: day)
      #expect(ByteMeter(folder).spent(on: day) == 100_000 + 1 << 20)
    }
  }

  @Test(arguments: [
    "", "{", "[]", #"{"days":{"2026-11-23":{"received":-5,"sent":0}}}"#,
    #"{"days":{"2026-11-23":{"received":9223372036854775807,"sent":9223372036854775807}}}"#,
  ])
  func aDamagedFileCountsForNone(text: String) async throws {
    try await withTemporaryFolder { folder in
      try Data(text.utf8).write(to: file(folder))
      let traffic = Traffic()
      var meter = ByteMeter(folder)
      traffic.set((received: 9, sent: 0))
      try meter.note(traffic, on: day)
      try meter.save()
      #expect(ByteMeter(folder).spent(on: day) == 9)
    }
  }

  @Test func aFolderThatCannotBeWrittenIsSaid() async throws {
    try await withTemporaryFolder { folder in
      let traffic = Traffic()
      var meter = ByteMeter(folder.appendingPathComponent("none"))
      traffic.set((received: 9, sent: 0))
      try meter.note(traffic, on: day)
      let error = #expect(throws: ClientError.self) { try meter.save() }
      guard case .state(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason.contains("bytes.json"))
    }
  }
}
