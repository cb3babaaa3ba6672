import Client
import Engine
import Federation
import Foundation
import Synchronization
import Testing

@Suite struct ViewCacheTests {
  private static let encoder = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)
  private static let model = Model(
    encoder, objective: .contrastive(HeadConfiguration(hidden: 8, output: 4)), depth: 3)
  private static let size = encoder.vit.tokens * encoder.width
  private let folder = FileManager.default.temporaryDirectory.appending(path: "views-\(UUID())")

  /// Returns a digest that represents a layer's version.
  private func digest(_ version: Int) -> Digest { Digest(of: Data("version \(version)".utf8)) }

  /// Advances a cache through the given layers of the model of `seed`. Returns how often a view was drawn, and the
  /// entries.
  private func update(layers: [Int], seed: UInt64 = 1, views: Int = 4) throws -> (
    drawn: Int, entries: [Float]
  ) {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let cache = try ViewCache(
      folder.appending(path: "views"),
      ViewCache.Contents(images: 5, views: views, size: Self.size, seed: 7, layers: layers.map(digest)))
    let runner = PrefixRunner(Self.model, chunk: 3, workers: Workers(2))
    Initialisation.random(Self.model, into: runner.parameters, seed: seed)
    let drawn = Mutex(0)
    try cache.update(runner) { image, view, _, pixels in
      drawn.withLock { $0 += 1 }
      var random = RandomNumbers(7, "drawn", image, view)
      for index in 0..<Self.encoder.input.count { pixels[index] = random.normal() }
    }
    var entries: [Float] = []
    var entry = [Float](repeating: 0, count: Self.size)
    for index in 0..<5 * views {
      entry.withUnsafeMutableBufferPointer {
        if let start = $0.baseAddress { cache.read(index / views, index % views, into: start) }
      }
      entries += entry
    }
    return (drawn.withLock { $0 }, entries)
  }

  private func expectClose(_ a: [Float], _ b: [Float]) {
    #expect(a.count == b.count)
    #expect(zip(a, b).allSatisfy { abs($0 - $1) < 0.01 + 0.005 * abs($1) }, "half precision at most")
  }

  @Test func drawsEveryViewOnceAndKeepsItAcrossRounds() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let first = try update(layers: [0, 1])
    #expect(first.drawn == 20)
    let second = try update(layers: [0, 1])
    #expect(second.drawn == 0 && second.entries == first.entries)
  }

  @Test func isAdvancedByNewlyFrozenLayersAlone() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    _ = try update(layers: [0, 1])
    let advanced = try update(layers: [0, 1, 2])
    #expect(advanced.drawn == 0)
    try FileManager.default.removeItem(at: folder)
    let whole = try update(layers: [0, 1, 2])
    #expect(whole.drawn == 20)
    expectClose(advanced.entries, whole.entries)
  }

  /// A calibration changes frozen layers, which invalidates their outputs.
  @Test func isMadeAnewWhereAFrozenLayerHasChanged() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let old = try update(layers: [0, 1, 2])
    let new = try update(layers: [0, 9, 2], seed: 2)
    #expect(new.drawn == 20 && new.entries != old.entries)
    #expect(try update(layers: [0, 9], seed: 2).drawn == 20, "a cache cannot go back")
    #expect(try update(layers: [0, 9], seed: 2, views: 2).drawn == 10, "another number of views")
  }

  @Test func isMadeAnewWhereItsUpdateWasCutShort() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let first = try update(layers: [0, 1])
    try FileManager.default.removeItem(at: folder.appending(path: "views.json"))
    let again = try update(layers: [0, 1])
    #expect(again.drawn == 20 && again.entries == first.entries)
  }

  @Test func saysSoWhereThereIsNoRoom() {
    let contents = ViewCache.Contents(images: 5, views: 4, size: Self.size, seed: 7, layers: [digest(0)])
    #expect(throws: ClientError.self) {
      try ViewCache(URL(filePath: "/proc/nothing/views"), contents)
    }
  }
}
