import Client
import Federation
import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct LayerCacheTests {
  private let weights = Data((0..<100).map { UInt8($0) })
  private var digest: Digest { Digest(of: weights) }
  private var version: PartVersion { PartVersion(name: "norm", digest: digest, bytes: weights.count) }

  private func withCache(_ body: (LayerCache, URL) throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let layers = folder.appendingPathComponent("state/layers")
      try body(try LayerCache(layers), layers)
    }
  }

  private func store(
    _ cache: LayerCache, _ bytes: Data, at offset: Int = 0
  ) throws -> LayerCache.Outcome {
    try cache.store(LayerData(digest: digest, offset: offset, total: weights.count), bytes)
  }

  private func names(_ folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  @Test func piecesInOrderMakeAVersion() async throws {
    try await withCache { (cache, folder) throws in
      #expect(!cache.holds(version))
      for start in stride(from: 0, to: 75, by: 25) {
        #expect(try store(cache, weights[start..<start + 25], at: start) == .incomplete)
        #expect(!cache.holds(version), "a part is not held")
        #expect(try names(folder) == ["\(digest).part"])
      }
      #expect(try store(cache, weights[75...], at: 75) == .complete)
      #expect(cache.holds(version))
      #expect(try cache.read(version) == weights)
      #expect(try names(folder) == ["\(digest)"])
      // A later start finds the version.
      #expect(try LayerCache(folder).read(version) == weights)
    }
  }

  @Test func aPartOfTheFullLengthIsNotHeld() async throws {
    try await withCache { (cache, folder) throws in
      try weights.write(to: folder.appendingPathComponent("\(digest).part"))
      #expect(!cache.holds(version))
    }
  }

  @Test func anotherLengthIsNotHeld() async throws {
    try await withCache { (cache, folder) throws in
      try weights.dropLast().write(to: folder.appendingPathComponent("\(digest)"))
      #expect(!cache.holds(version))
    }
  }

  @Test func aWholeThatIsWrongIsThrownAway() async throws {
    try await withCache { (cache, folder) throws in
      var wrong = weights
      wrong[50] ^= 1
      #expect(try store(cache, wrong.prefix(60)) == .incomplete)
      #expect(try store(cache, wrong.dropFirst(60), at: 60) == .corrupt)
      #expect(!cache.holds(version))
      #expect(try names(folder).isEmpty)
      #expect(try store(cache, weights) == .complete, "fetched again, it is right")
    }
  }

  @Test func aTransferMayStartAgain() async throws {
    try await withCache { (cache, _) throws in
      #expect(try store(cache, Data(repeating: 9, count: 90)) == .incomplete)
      #expect(try store(cache, weights.prefix(10)) == .incomplete)
      #expect(try store(cache, weights.dropFirst(10), at: 10) == .complete)
      #expect(try cache.read(version) == weights)
    }
  }

  @Test func aDamagedFileIsRemovedWhenItIsRead() async throws {
    try await withCache { (cache, folder) throws in
      #expect(try store(cache, weights) == .complete)
      var damaged = weights
      damaged[99] ^= 0x80
      try damaged.write(to: folder.appendingPathComponent("\(digest)"))
      #expect(cache.holds(version), "only its length is looked at")
      #expect(throws: DamagedLayer.self) { try cache.read(version) }
      #expect(!cache.holds(version))
      #expect(try names(folder).isEmpty)
    }
  }

  @Test func aMissingFileIsAnError() async throws {
    try await withCache { (cache, _) throws in
      #expect(throws: DamagedLayer.self) { try cache.read(version) }
    }
  }

  @Test func theLatestVersionIsNamedFirst() async throws {
    try await withCache { (cache, folder) throws in
      let digests = (0..<3).map { Digest(of: Data([$0])) }
      for (age, digest) in digests.enumerated() {
        let file = folder.appendingPathComponent("\(digest)")
        try Data([1]).write(to: file)
        try FileManager.default.setAttributes(
          [.modificationDate: Date(timeIntervalSince1970: Double(1000 - age))], ofItemAtPath: file.path)
      }
      try Data([1]).write(to: folder.appendingPathComponent("\(digests[0]).part"))
      #expect(cache.versions == digests)
    }
  }

  @Test func whatIsMadeHereIsKeptIfItIsWhatItIsSaidToBe() async throws {
    try await withCache { (cache, folder) throws in
      #expect(try !cache.keep(Data([1, 2, 3]), as: version) && names(folder).isEmpty)
      #expect(try cache.keep(weights, as: version) && cache.read(version) == weights)
    }
  }

  @Test func onlyWhatIsWantedIsKept() async throws {
    try await withCache { (cache, folder) throws in
      #expect(try store(cache, weights) == .complete)
      let other = Data([1, 2, 3, 4])
      #expect(
        try cache.store(LayerData(digest: Digest(of: other), offset: 0, total: 4), other) == .complete)
      try Data([1]).write(to: folder.appendingPathComponent("\(Digest(of: Data())).part"))
      cache.keepOnly([version.digest])
      #expect(try names(folder) == ["\(digest)"])
      #expect(cache.holds(version))
    }
  }

  @Test func aFolderThatCannotBeMadeIsAnError() async throws {
    try await withTemporaryFolder { folder in
      let file = folder.appendingPathComponent("file")
      try Data().write(to: file)
      let error = #expect(throws: ClientError.self) { try LayerCache(file.appendingPathComponent("layers")) }
      guard case .state(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason.contains(file.path))
    }
  }
}
