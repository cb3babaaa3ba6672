import Federation
import Foundation

/// The head of a piece of a layer or of an update, as JSON of the one form in which this software writes it. Thousands of
/// them travel in a round, for each of which a coder takes longer than the kernel for its bytes.
struct PieceHead: Equatable {
  let digest: Digest
  let offset: Int
  /// Of a layer.
  var total: Int?

  /// As many bytes as a head can have: its numbers have 13 digits (``Message/requireBounds()``).
  static let mostBytes = PieceHead(
    digest: Digest(of: Data()), offset: NumberBounds.bytes.upperBound, total: NumberBounds.bytes.upperBound
  ).encoded.count

  /// What a coder with sorted keys would write.
  var encoded: Data {
    let end = total.map { ",\"total\":\($0)}" } ?? "}"
    return Data("{\"digest\":\"\(digest.description)\",\"offset\":\(offset)\(end)".utf8)
  }
}

extension PieceHead {
  /// Reads a head of that form; nil for any other, which may be good JSON nevertheless.
  init?(_ head: Data) {
    var rest = head[...]
    guard rest.skip("{\"digest\":\""), let digest = Digest(String(decoding: rest.prefix(64), as: UTF8.self))
    else { return nil }
    rest = rest.dropFirst(64)
    guard rest.skip("\",\"offset\":"), let offset = rest.takeNumber() else { return nil }
    var total: Int?
    if rest.skip(",\"total\":") {
      guard let number = rest.takeNumber() else { return nil }
      total = number
    }
    guard rest.elementsEqual("}".utf8) else { return nil }
    self.init(digest: digest, offset: offset, total: total)
  }
}

extension Frame {
  /// Bytes on the wire, at the most, of a layer or an update of `count` bytes that travels in pieces of `chunk`.
  package static func bytes(ofPieces chunk: Int, of count: Int) -> Int {
    count + (count + chunk - 1) / chunk * (overhead + PieceHead.mostBytes)
  }
}

extension Data {
  /// Leaves out some text at the front. Returns whether it was there.
  fileprivate mutating func skip(_ text: StaticString) -> Bool {
    let isThere = text.withUTF8Buffer { starts(with: $0) }
    if isThere { self = dropFirst(text.utf8CodeUnitCount) }
    return isThere
  }

  /// Takes the decimal number at the front; nil where there is none that JSON and an Int allow.
  fileprivate mutating func takeNumber() -> Int? {
    let digits = prefix(19).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    // With 18 digits it fits; a zero stands alone.
    guard (1...18).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
      return nil
    }
    self = dropFirst(digits.count)
    return digits.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) }
  }
}
