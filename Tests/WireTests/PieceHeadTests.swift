import Engine
import Federation
import Foundation
import Testing
import Wire

/// The heads of pieces have a hand-written coding, which must equal that of a JSON coder.
@Suite struct PieceHeadTests {
  private static let layer = LayerData(digest: Digest(of: Data("a".utf8)), offset: 131_072, total: 4_792_020)
  private static let update = UpdateData(digest: Digest(of: Data("b".utf8)), offset: 0)

  private func coded(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return try encoder.encode(value)
  }

  @Test(arguments: [0, 1, 10, 1_099_511_627_776, 999_999_999_999_999_999, -1, .max, .min])
  func isWhatACoderWrites(_ number: Int)
    throws
  {
    let layer = LayerData(digest: Self.layer.digest, offset: number, total: number)
    #expect(try Message.layer(layer, Data()).frame().head == coded(layer))
    let update = UpdateData(digest: Self.update.digest, offset: number)
    #expect(try Message.update(update, Data()).frame().head == coded(update))
    // Numbers out of bounds are written but not read.
    let isRead = Self.bounds.contains(number)
    #expect(
      (try? Message(Message.layer(layer, Data([1])).frame())) == (isRead ? .layer(layer, Data([1])) : nil))
    #expect(
      (try? Message(Message.update(update, Data([1])).frame())) == (isRead ? .update(update, Data([1])) : nil)
    )
  }

  private static let bounds = 0...1 << 40

  @Test func otherSpellingsAreReadToo() throws {
    let digest = Self.update.digest
    let head = Data(#"{ "more": [1], "offset": 7e1, "digest": "\#(digest)" }"#.utf8)
    #expect(
      try Message(Frame(kind: 8, head: head)) == .update(UpdateData(digest: digest, offset: 70), Data()))
  }

  /// A damaged head is accepted only if a JSON coder would read the same.
  @Test func damagedHeadsAreReadAsACoderReadsThem() throws {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let signs = Array("{}\",:0123456789abf -+.eE\\\u{0}".utf8)
    var read = 0
    for _ in 0..<4000 {
      var head = Array(
        Int.random(in: 0...1, using: &numbers) == 0 ? try coded(Self.layer) : try coded(Self.update))
      for _ in 0..<Int.random(in: 1...2, using: &numbers) {
        let (place, sign) = (
          Int.random(in: 0...head.count - 1, using: &numbers),
          signs[Int.random(in: 0...signs.count - 1, using: &numbers)]
        )
        switch Int.random(in: 0...2, using: &numbers) {
        case 0: head[place] = sign
        case 1: head.insert(sign, at: place)
        default: head.remove(at: place)
        }
      }
      let data = Data(head)
      let (layer, update) = (
        (try? JSONDecoder().decode(LayerData.self, from: data)).flatMap {
          Self.bounds.contains($0.offset) && Self.bounds.contains($0.total) ? $0 : nil
        },
        (try? JSONDecoder().decode(UpdateData.self, from: data)).flatMap {
          Self.bounds.contains($0.offset) ? $0 : nil
        }
      )
      let text = "seed \(seed): \(String(decoding: data, as: UTF8.self))"
      #expect(
        (try? Message(Frame(kind: 5, head: data))) == layer.map { Message.layer($0, Data()) }, "\(text)")
      #expect(
        (try? Message(Frame(kind: 8, head: data))) == update.map { Message.update($0, Data()) }, "\(text)")
      read += update == nil ? 0 : 1
    }
    #expect((1..<4000).contains(read), "seed \(seed): \(read) were read")
  }
}
