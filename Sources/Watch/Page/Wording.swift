import Foundation
import Pages

/// Numbers and times as markup. What is missing is a dash; a number and its unit stay on one line.
enum Wording {
  static let none = "<span class=\"muted\">–</span>"
  /// A space at which no line ends.
  static let space = "\u{A0}"

  static func bytes(_ count: Int?) -> String {
    guard let count else { return none }
    let scale = FigureUnit.bytes.scale(for: [Double(count)])
    return scale.text(Double(count)) + space + scale.name
  }

  static func seconds(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return FigureUnit.seconds.scale(for: [value]).text(value) + space + "s"
  }

  static func number(_ value: (some BinaryFloatingPoint)?, digits: Int = 4) -> String {
    value.map { Numeral.fixed(Double($0), digits: digits) } ?? none
  }

  /// A share as per cent.
  static func share(_ value: Double?) -> String {
    value.map { Numeral.fixed(100 * $0, digits: 1) + space + "%" } ?? none
  }

  /// How the page that is watched shows a time.
  enum Kind: String {
    /// As it is, in Greenwich's.
    case absolute = ""
    /// How long ago it was.
    case ago = " data-ago=\"\""
    /// How long it is until then.
    case until = " data-until=\"\""
  }

  static func time(_ date: Date?, _ kind: Kind = .absolute) -> String {
    guard let date else { return none }
    let machine = date.formatted(.iso8601)
    let people = date.formatted(.iso8601.dateTimeSeparator(.space).timeZoneSeparator(.omitted)).dropLast()
    return "<time datetime=\"\(machine)\"\(kind.rawValue)>\(people)\(space)UTC</time>"
  }

  /// "1 client", "2 clients".
  static func count(_ number: Int, _ noun: String) -> String {
    "\(number)\(space)\(noun)\(number == 1 ? "" : "s")"
  }

  /// A sentence of some words.
  static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() + "." }
}
