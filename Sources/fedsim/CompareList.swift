import ArgumentParser
import Engine

/// Lists on the command line of a comparison, with commas between their entries.
enum CompareList {
  @Sendable static func strategies(_ text: String) throws -> [Strategy] { try cases(text) }
  @Sendable static func losses(_ text: String) throws -> [SelfSupervision] { try cases(text) }

  @Sendable static func seeds(_ text: String) throws -> [UInt64] {
    try list(text) { entry in
      guard let seed = UInt64(entry) else {
        throw ValidationError("'\(entry)' is not a whole number of 0 to \(UInt64.max)")
      }
      return seed
    }
  }

  private static func cases<Case>(_ text: String) throws -> [Case]
  where Case: CaseIterable & RawRepresentable & Hashable, Case.RawValue == String {
    try list(text) { entry in
      guard let value = Case(rawValue: entry) else {
        let known = Case.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(entry)' is none of \(known)")
      }
      return value
    }
  }

  private static func list<Entry: Hashable>(_ text: String, _ parse: (String) throws -> Entry) throws
    -> [Entry]
  {
    var known: Set<Entry> = []
    return try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
      let entry = try parse(String(word))
      guard known.insert(entry).inserted else { throw ValidationError("'\(word)' is there twice") }
      return entry
    }
  }

  /// A command line as a shell would take it again.
  static func command(_ arguments: [String]) -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+@%")
    let words = arguments.dropFirst().map { word in
      let isPlain = !word.isEmpty && word.allSatisfy(plain.contains)
      return isPlain
        ? word
        : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
    return (["fedsim"] + words).joined(separator: " ")
  }
}
