import Engine
import Federation
import Foundation
import Testing
import Wire

/// The heads of pieces of layers and updates, which are binary.
@Suite struct PieceHeadTests {
  private static let digest = Digest(of: Data("a".utf8))

  /// The bytes of docs/protocol.md.
  @Test func theBytesAreThoseOfTheProtocol() throws {
    let layer = LayerData(digest: Self.digest, offset: 131_072, total: 448_128)
    let head = Self.digest.data + [0, 0, 0, 0, 0, 2, 0, 0] + [0, 0, 0, 0, 0, 6, 0xD6, 0x80]
    let frame = try Message.layer(layer, Data([7])).frame()
    #expect(frame.head == head && frame.payload == Data([7]))
    #expect(
      try Message.update(UpdateData(digest: Self.digest, offset: 0), Data()).frame().head == head.prefix(32)
        + Data(count: 8))
    #expect(try Message(frame) == .layer(layer, Data([7])))
  }

  @Test(arguments: [0, 1, 1 << 40, 1 << 40 + 1, -1, .max, .min])
  func numbersOutOfBoundsAreNamed(_ number: Int) throws {
    let isInBounds = (0...1 << 40).contains(number)
    let messages: [(Message, String)] = [
      (.layer(LayerData(digest: Self.digest, offset: number, total: 4), Data([1])), "layer.offset"),
      (.layer(LayerData(digest: Self.digest, offset: 0, total: number), Data([1])), "layer.total"),
      (.update(UpdateData(digest: Self.digest, offset: number), Data([1])), "update.offset"),
    ]
    for (message, field) in messages {
      let frame = try message.frame()
      if isInBounds {
        #expect(try Message(frame) == message)
      } else {
        let error = #expect(throws: WireError.self) { try Message(frame) }
        #expect(error?.description.hasPrefix(field) == true, "\(error as Any)")
      }
    }
  }

  @Test(arguments: [5, 8] as [UInt8]) func anotherLengthIsRejected(kind: UInt8) {
    for count in 0...100 where count != (kind == 5 ? 48 : 40) {
      #expect(throws: WireError.self) {
        try Message(Frame(kind: kind, head: Data(repeating: 1, count: count)))
      }
    }
  }
}
