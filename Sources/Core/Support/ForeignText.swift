/// Text that somebody else wrote: a peer, a certificate, a file, a database. It is made harmless where it enters, so
/// that it fits on one line of a log, a terminal or a table whatever it holds.
///
/// What could end a line, command a terminal, reorder what stands next to it or not be seen at all is escaped as Swift
/// writes it (`\n`, `\u{1B}`), and everything beyond ``limit`` characters is cut off. To escape it again changes
/// nothing.
///
/// As a property wrapper it guards a message's field: the value is harmless after decoding as well.
@propertyWrapper package struct ForeignText: Sendable, Hashable, CustomStringConvertible {
  /// Unicode scalars that are kept at most, escapes counted as they are written. The last is an ellipsis where text was
  /// cut off.
  package static let limit = 300

  package let description: String

  package init(_ text: some StringProtocol, limit: Int = Self.limit) {
    description = Self.escaped(text.unicodeScalars, limit: limit)
  }

  /// Bytes that ought to be UTF-8; what is not becomes U+FFFD.
  package init(utf8 bytes: some Collection<UInt8>, limit: Int = Self.limit) {
    self.init(String(decoding: bytes.prefix(4 * (limit + 1)), as: UTF8.self), limit: limit)
  }

  package init(wrappedValue: String) { self.init(wrappedValue) }

  package var wrappedValue: String {
    get { description }
    set { self = ForeignText(newValue) }
  }

  /// A text of the program's own that may have foreign text in it: nothing is cut off, and lines and tabs stay.
  package static func lines(_ text: String) -> String {
    escaped(text.unicodeScalars, limit: .max, keeping: ["\n", "\t"])
  }

  /// Whether a scalar may stand in a line as it is.
  package static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
    return switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    default: true
    }
  }

  /// Marks on one letter that are kept: without end they would cover the lines above it.
  private static let mostMarks = 2

  private static func escaped(
    _ scalars: some Sequence<Unicode.Scalar>, limit: Int, keeping kept: Set<Unicode.Scalar> = []
  ) -> String {
    var (text, count, marks) = (String.UnicodeScalarView(), 0, mostMarks)
    // How much of it leaves room for an ellipsis.
    var short = 0
    for scalar in scalars {
      marks = isMark(scalar) ? marks + 1 : 0
      let isShown = kept.contains(scalar) || isPlain(scalar) && marks <= mostMarks
      let piece = isShown ? String.UnicodeScalarView([scalar]) : escape(scalar).unicodeScalars
      guard count + piece.count <= limit else { return String(text.prefix(short)) + "…" }
      text.append(contentsOf: piece)
      count += piece.count
      if count < limit { short = count }
    }
    return String(text)
  }

  private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    guard !scalar.isASCII else { return false }
    return [.nonspacingMark, .enclosingMark].contains(scalar.properties.generalCategory)
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
    }
  }
}

extension ForeignText: Codable {
  package init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(String.self))
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
