import TestSupport
import Engine
import Federation
import Foundation
import Server
import Testing

@Suite struct UpdateSpoolTests {
  private func offer(_ bytes: Data) -> UpdateOffer {
    UpdateOffer(
      key: RoundKey(stage: 1, round: 1), base: Digest(of: Data()), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 1, steps: 1, loss: 1, seconds: 1)
  }

  @Test func aTransferGoesOnWhereItStopped() async throws {
    try await withTemporaryFolder { folder in
      let bytes = Data((0..<100).map { UInt8($0) })
      let offer = offer(bytes)
      let spool = try UpdateSpool(folder.appendingPathComponent("spool"))
      #expect(spool.begin(offer, from: "a") == 0)
      try spool.open(offer, from: "a").write(bytes.prefix(40), at: 0)
      // The same holds for another server on the same files.
      let again = try UpdateSpool(folder.appendingPathComponent("spool"))
      #expect(again.begin(offer, from: "b") == 0)
      #expect(again.begin(offer, from: "a") == 40)
      try again.open(offer, from: "a").write(bytes.dropFirst(40), at: 40)
      #expect(try again.arrived(offer, from: "a").bytes() == bytes)
      again.discard(offer, from: "a")
      #expect(!again.holds(offer, from: "a") && again.begin(offer, from: "a") == 0)
    }
  }

  @Test func anotherUpdateOfTheClientReplacesIt() async throws {
    try await withTemporaryFolder { folder in
      let spool = try UpdateSpool(folder)
      let (old, new) = (offer(Data([1, 2, 3, 4])), offer(Data([5, 6, 7, 8])))
      try spool.open(old, from: "a").write(Data([1, 2]), at: 0)
      try spool.open(old, from: "b.a").write(Data([1]), at: 0)
      #expect(spool.begin(new, from: "a") == 0)
      #expect(spool.begin(old, from: "a") == 0)
      #expect(spool.begin(old, from: "b.a") == 1, "another client's stays")
    }
  }

  @Test func nobodyElseReadsIt() async throws {
    try await withTemporaryFolder { folder in
      let place = folder.appendingPathComponent("spool")
      let spool = try UpdateSpool(place)
      let offer = offer(Data([1, 2, 3, 4]))
      try spool.open(offer, from: "a").write(Data([1, 2]), at: 0)
      let files = try FileManager.default.contentsOfDirectory(atPath: place.path)
      for path in [place.path] + files.map({ place.appendingPathComponent($0).path }) {
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect((mode ?? 0o777) & 0o077 == 0, "\(path) has \(String(mode ?? 0, radix: 8))")
      }
    }
  }
}
