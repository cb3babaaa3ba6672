import Foundation
import Support

/// The lines of a text file, gzipped or not, read in pieces.
final class TextLines {
  /// A line without its end, or a field of it. It is valid until the next line is read, and a byte that belongs to no
  /// field follows it.
  typealias Text = UnsafeBufferPointer<UInt8>

  let path: String
  /// The number of the last line, from 1.
  private(set) var number = 0
  /// The number of bytes that remain in the file; nil if they are compressed.
  var remaining: Int? { reader.remaining.map { $0 + end - start } }

  private let reader: ByteReader
  private var buffer: UnsafeMutableBufferPointer<UInt8>
  private var (start, end, hasEnded) = (0, 0, false)

  private static let (piece, longest) = (1 << 16, 1 << 26)
  private static let newline = UInt8(ascii: "\n")
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// Opens a file. Throws a ``DatasetError`` if it cannot be read.
  init(opening path: String) throws(DatasetError) {
    self.path = path
    reader = try ByteReader(opening: path)
    // One byte is left for the end of the last line.
    buffer = .allocate(capacity: Self.piece + 1)
    try refill()
    if buffer[..<end].starts(with: Self.byteOrderMark) { start = Self.byteOrderMark.count }
  }

  deinit { buffer.deallocate() }

  /// Returns the next line; nil at the end of the file.
  func next() throws(DatasetError) -> Text? {
    while true {
      if let place = memchr(buffer.baseAddress! + start, Int32(Self.newline), end - start) {
        let line = place - UnsafeMutableRawPointer(buffer.baseAddress!)
        defer { start = line + 1 }
        return take(start..<line)
      }
      if hasEnded {
        defer { start = end }
        return start == end ? nil : take(start..<end)
      }
      try refill()
    }
  }

  /// Returns the next line that is neither blank nor a comment, which starts with `#` or `%`.
  func nextData() throws(DatasetError) -> Text? {
    while let line = try next() {
      guard let first = line.first(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) else {
        continue
      }
      if first != UInt8(ascii: "#") && first != UInt8(ascii: "%") { return line }
    }
    return nil
  }

  /// Returns an error at the last line.
  func damage(_ problem: String) -> DatasetError {
    .malformed(path: path, problem: "line \(number) \(problem)")
  }

  private func take(_ range: Range<Int>) -> Text {
    number += 1
    let isMarked = range.last.map { buffer[$0] == UInt8(ascii: "\r") } ?? false
    let line = isMarked ? range.dropLast() : range
    buffer[line.upperBound] = 0
    return Text(rebasing: buffer[line])
  }

  private func refill() throws(DatasetError) {
    let kept = end - start
    var target = buffer
    if kept + Self.piece >= buffer.count {
      guard kept < Self.longest else {
        throw .malformed(path: path, problem: "line \(number + 1) is longer than \(Self.longest) bytes")
      }
      target = .allocate(capacity: 2 * buffer.count)
    }
    memmove(target.baseAddress!, buffer.baseAddress! + start, kept)
    if target.baseAddress != buffer.baseAddress {
      buffer.deallocate()
      buffer = target
    }
    (start, end) = (0, kept)
    let space = buffer.count - 1 - kept
    let read = try reader.readUpTo(space, into: buffer.baseAddress! + kept)
    end += read
    hasEnded = read < space
  }
}

/// The fields of a line of numbers, which are separated by commas, semicolons, tabs or blanks.
struct NumberFields: Sequence, IteratorProtocol {
  private let line: TextLines.Text
  private var place = 0
  /// Whether a comma or semicolon was the last, so that a field follows, which may be empty.
  private var isOpen = false

  init(_ line: TextLines.Text) { self.line = line }

  mutating func next() -> TextLines.Text? {
    skipBlanks()
    guard place < line.count || isOpen else { return nil }
    let start = place
    while place < line.count, !Self.isBlank(line[place]), !Self.isSeparator(line[place]) { place += 1 }
    let field = TextLines.Text(rebasing: line[start..<place])
    skipBlanks()
    isOpen = place < line.count && Self.isSeparator(line[place])
    if isOpen { place += 1 }
    return field
  }

  private mutating func skipBlanks() { while place < line.count, Self.isBlank(line[place]) { place += 1 } }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";")
  }
}

extension TextLines.Text {
  /// The number that this field is; nil if it is none. Hexadecimal numbers, infinity and NaN are numbers too.
  var real: Double? {
    if let digits { return Double(digits) }
    guard let baseAddress, count > 0 else { return nil }
    var end: UnsafeMutablePointer<CChar>?
    let value = strtod(UnsafeRawPointer(baseAddress).assumingMemoryBound(to: CChar.self), &end)
    return UnsafeRawPointer(end) == UnsafeRawPointer(baseAddress + count) ? value : nil
  }

  /// The whole number that this field is, also in the form 3.0 or 3e0; nil if it is none.
  var whole: Int? { digits ?? real.flatMap { Int(exactly: $0) } }

  /// The value of a few decimal digits; nil for other text.
  private var digits: Int? {
    guard (1...15).contains(count) else { return nil }
    var value = 0
    for byte in self {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      value = 10 * value + Int(byte - UInt8(ascii: "0"))
    }
    return value
  }

  /// The field for a message.
  var shown: String { isEmpty ? "empty" : "'\(Spelling.shortened(String(decoding: self, as: UTF8.self)))'" }
}

/// A table of numbers in a text file: lines of equal length, with or without a header.
///
/// If the header's first name is empty, `id`, `index` or `node`, the first column has the numbers of the rows, from 0,
/// and is not part of the table.
package struct NumberTable: Sendable {
  /// The numbers in row-major order.
  package let values: [Float]
  package let columns: Int
  /// The names of the columns; nil without a header.
  package let names: [String]?

  package var rows: Int { values.count / columns }

  private static let namesOfRows = ["", "id", "index", "node"]

  /// Reads a table with at most `widest` columns. Throws a ``DatasetError`` that names the line and the column.
  package init(opening path: String, widest: Int) throws(DatasetError) {
    let lines = try TextLines(opening: path)
    guard var line = try lines.nextData() else { throw .malformed(path: path, problem: "has no numbers") }
    let fields = Array(NumberFields(line))
    var (columns, names, isNumbered): (Int, [String]?, Bool) = (fields.count, nil, false)
    if fields.contains(where: { $0.real == nil }) {
      let header = fields.map { Self.name($0) }
      isNumbered = Self.namesOfRows.contains(header[0].lowercased())
      columns -= isNumbered ? 1 : 0
      names = Array(header.suffix(columns))
      guard let next = try lines.nextData() else {
        throw .malformed(path: path, problem: "has no numbers after its header")
      }
      line = next
    }
    guard (1...widest).contains(columns) else {
      throw lines.damage("has \(counted(columns, "column")), where a row has 1 to \(widest)")
    }
    var values: [Float] = []
    // A line of this length for the rest of the file; a number has at least two bytes.
    let estimate = lines.remaining.map { ($0 / max(line.count, 2 * columns) + 2) * columns }
    values.reserveCapacity(min(estimate ?? 0, ProcessMemory.limit / 8))
    var next: TextLines.Text? = line
    while let line = next {
      try Self.append(line, to: &values, columns, isNumbered: isNumbered, lines)
      next = try lines.nextData()
    }
    (self.values, self.columns, self.names) = (values, columns, names)
  }

  private static func append(
    _ line: TextLines.Text, to values: inout [Float], _ columns: Int, isNumbered: Bool, _ lines: TextLines
  ) throws(DatasetError) {
    var fields = NumberFields(line)
    let row = values.count / columns
    if isNumbered {
      guard let field = fields.next(), field.whole == row else {
        throw lines.damage("has not the row number \(row) in its first column; rows are in order, from 0")
      }
    }
    var found = 0
    while let field = fields.next() {
      found += 1
      guard found <= columns else { continue }
      guard let value = field.real else {
        throw lines.damage("has no number in column \(found): \(field.shown)")
      }
      guard Float(value).isFinite else {
        throw lines.damage("has \(field.shown) in column \(found), which is not finite as float32")
      }
      values.append(Float(value))
    }
    guard found == columns else {
      throw lines.damage("has \(counted(found, "number")), where the first has \(columns)")
    }
    guard values.count < ProcessMemory.limit / 4 else {
      throw lines.damage("is beyond what fits in the \(ProcessMemory.limit / 1_000_000) MB of memory")
    }
  }

  /// Returns a name of the header, without quotation marks.
  private static func name(_ field: TextLines.Text) -> String {
    String(decoding: field, as: UTF8.self).trimmingCharacters(in: CharacterSet(charactersIn: "\""))
  }
}
