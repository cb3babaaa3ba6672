/// Files of a folder that are not called as images are, counted by how their names end.
package struct PassedOver: Sendable, Hashable {
  /// How many files have an ending.
  package struct Ending: Sendable, Codable, Hashable {
    /// Such as `.webp`, in small letters; or `others`.
    package let ending: String
    /// Files.
    package let count: Int
  }

  private var counts: [String: Int] = [:]

  /// Nobody reads more; they bound the memory.
  private static let mostEndings = 100
  /// Longer endings are none, but a point somewhere in a name.
  private static let longest = 10
  /// Endings that are named before the rest is counted.
  private static let named = 5

  /// The most frequent first.
  package var endings: [Ending] {
    counts.map { Ending(ending: $0, count: $1) }.sorted { ($1.count, $0.ending) < ($0.count, $1.ending) }
  }

  /// All of them in one line; nil for none.
  package var summary: String? {
    let files = counts.values.reduce(0, +)
    guard files > 0 else { return nil }
    let all = endings
    let names = all.prefix(Self.named).map { "\($0.count) \($0.ending)" }.joined(separator: ", ")
    let rest = all.dropFirst(Self.named).reduce(0) { $0 + $1.count }
    return (files == 1 ? "1 file is passed over: " : "\(files) files are passed over: ") + names
      + (rest > 0 ? " and \(rest) more" : "")
  }

  mutating func count(_ name: FilePath) {
    let ending = Self.ending(of: name) ?? "others"
    counts[counts[ending] != nil || counts.count < Self.mostEndings ? ending : "others", default: 0] += 1
  }

  /// Nil where a name has none.
  private static func ending(of name: FilePath) -> String? {
    guard let point = name.bytes.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    let ending = String(decoding: name.bytes[point...], as: UTF8.self).lowercased()
    guard (2...longest).contains(ending.utf8.count),
      ending.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
    else { return nil }
    return ending
  }
}
