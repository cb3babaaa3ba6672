/// Text from outside the program: from a peer, a certificate, a file or a database. It is escaped on entry, so that it
/// fits on one line of a log, a terminal or a table.
///
/// Control characters, line breaks, invisible characters and excess combining marks are escaped as Swift writes them
/// (`\n`, `\u{1B}`), and text beyond ``limit`` characters is cut off. Escaping is idempotent.
///
/// As a property wrapper it protects a field of a message: the value is also escaped after decoding.
@propertyWrapper package struct ForeignText: Sendable, Hashable, CustomStringConvertible {
  /// The maximum number of Unicode scalars, counting escapes as written. Truncated text ends in an ellipsis.
  package static let limit = 300

  package let description: String

  package init(_ text: some StringProtocol, limit: Int = Self.limit) {
    description = Self.escaped(text.unicodeScalars, limit: limit)
  }

  /// Creates a text from UTF-8 bytes; invalid sequences become U+FFFD.
  package init(utf8 bytes: some Collection<UInt8>, limit: Int = Self.limit) {
    self.init(String(decoding: bytes.prefix(4 * (limit + 1)), as: UTF8.self), limit: limit)
  }

  package init(wrappedValue: String) { self.init(wrappedValue) }

  package var wrappedValue: String {
    get { description }
    set { self = ForeignText(newValue) }
  }

  /// Escapes text of the program that may contain foreign text. Keeps line breaks and tabs, and truncates nothing.
  package static func lines(_ text: String) -> String {
    escaped(text.unicodeScalars, limit: .max, keeping: ["\n", "\t"])
  }

  /// Whether a scalar is printed unescaped.
  package static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
    return switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    default: true
    }
  }

  /// The maximum number of combining marks on one letter; more of them would cover the lines above.
  private static let mostMarks = 2

  private static func escaped(
    _ scalars: some Sequence<Unicode.Scalar>, limit: Int, keeping kept: Set<Unicode.Scalar> = []
  ) -> String {
    var (text, count, marks) = (String.UnicodeScalarView(), 0, mostMarks)
    // The length of the text that leaves space for an ellipsis.
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
