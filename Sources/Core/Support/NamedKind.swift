/// One of the kinds of something that plans name, such as an objective.
///
/// In contrast to an enumeration, a kind can be defined in any file; it is known by its name when it is an element of
/// ``CaseIterable/allCases``.
package protocol NamedKind: RawRepresentable<String>, CaseIterable, Hashable, Codable, Sendable {
  /// The name in plans, messages and databases, such as `simclr`.
  var rawValue: String { get }
}

extension NamedKind {
  /// Returns the kind of a name; nil for names that this version does not know.
  package init?(rawValue: String) {
    guard let known = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = known
  }

  package static func == (a: Self, b: Self) -> Bool { a.rawValue == b.rawValue }
  package func hash(into hasher: inout Hasher) { hasher.combine(rawValue) }
}
