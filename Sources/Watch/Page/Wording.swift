import Foundation
import Pages

/// Numbers and times as markup. What is missing is a dash.
enum Wording {
  static let none = "<span class=\"muted\">–</span>"

  static func bytes(_ count: Int?) -> String {
    guard let count else { return none }
    let scale = FigureUnit.bytes.scale(for: [Double(count)])
    return "\(scale.text(Double(count))) \(scale.name)"
  }

  static func seconds(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return "\(FigureUnit.seconds.scale(for: [value]).text(value)) s"
  }

  static func number(_ value: (some BinaryFloatingPoint)?, digits: Int = 4) -> String {
    value.map { String(format: "%.\(digits)f", Double($0)) } ?? none
  }

  /// A share as per cent.
  static func share(_ value: Double?) -> String { value.map { String(format: "%.1f %%", 100 * $0) } ?? none }

  /// A time, in Greenwich's; the page that is watched shows how long ago that was.
  static func time(_ date: Date?, isRelative: Bool = false) -> String {
    guard let date else { return none }
    let machine = date.formatted(.iso8601)
    let people = date.formatted(.iso8601.dateTimeSeparator(.space).timeZoneSeparator(.omitted)).dropLast()
    return "<time datetime=\"\(machine)\"\(isRelative ? " data-ago=\"\"" : "")>\(people) UTC</time>"
  }

  /// "1 client", "2 clients".
  static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
