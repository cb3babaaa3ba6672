import Engine
import Federation
import Foundation
import Server
import Testing
import Wire

@Suite struct OutgoingLayerTests {
  private static let chunk = WireLimits.chunk
  /// Around the ends of pieces, and no bytes.
  static let counts = [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 77]

  /// The pieces from an offset on are the rest of the layer, whatever was fetched before.
  @Test(arguments: counts) func thePiecesAreTheLayer(count: Int) throws {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let bytes = Data((0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) })
    let (digest, layer) = (Digest(of: bytes), OutgoingLayer(Digest(of: bytes), bytes))
    let somewhere = (0..<4).map { _ in Int.random(in: 0...count, using: &numbers) }
    for first in [0, count, count / 2, 0] + somewhere {
      var decoder = FrameDecoder(limit: WireLimits.frame)
      var next = first
      for offset in layer.offsets(from: first) {
        for piece in try layer.frame(at: offset).pieces { decoder.append(piece) }
        let message = try Message(try #require(try decoder.next()))
        guard case .layer(let head, let piece) = message else {
          Issue.record("\(message.name), seed \(seed)")
          return
        }
        #expect(head == LayerData(digest: digest, offset: next, total: count), "seed \(seed)")
        #expect(piece == bytes[next..<next + piece.count], "seed \(seed)")
        #expect(piece.count <= Self.chunk && (piece.count > 0 || first == count), "seed \(seed)")
        next += piece.count
      }
      #expect(next == count && decoder.pending == 0, "from \(first) of \(count), seed \(seed)")
    }
  }

  /// The checksum is computed once for all clients.
  @Test func whatManyFetchIsMadeOnce() throws {
    let bytes = Data(repeating: 7, count: 2 * Self.chunk)
    let layer = OutgoingLayer(Digest(of: bytes), bytes)
    for offset in layer.offsets(from: 0) {
      let (one, other) = (try layer.frame(at: offset).pieces, try layer.frame(at: offset).pieces)
      #expect(one.count == 3)
      for (one, other) in zip(one, other) {
        #expect(one.withUnsafeBytes(\.baseAddress) == other.withUnsafeBytes(\.baseAddress) || one.count < 16)
      }
    }
  }
}
