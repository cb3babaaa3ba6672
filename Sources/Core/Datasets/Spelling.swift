import Support

/// Which word someone meant who wrote one that is not known.
package enum Spelling {
  /// The candidate whose name is spelled nearest to a word; nil if none is near. `name` is what is compared of it.
  package static func nearest(
    to word: String, among candidates: [String], by name: (String) -> String = { $0 }
  ) -> String? {
    let word = shortened(word)
    // Names come from files, too, where anybody may have made many and long ones.
    let nearest = candidates.prefix(1000).filter { name($0).utf8.count <= 200 }.map {
      ($0, distance(word, name($0)))
    }.min { $0.1 < $1.1 }
    return nearest.flatMap { $0.1 <= max(1, word.count / 3) ? $0.0 : nil }
  }

  /// A word as far as it can matter: nothing that long is known, and a message should stay short.
  package static func shortened(_ word: String) -> String {
    ForeignText(word, limit: 41).description
  }

  /// A text on one line, without what a terminal could take for a command.
  static func harmless(_ text: String) -> String { ForeignText(text, limit: .max).description }

  /// How many letters must be added, dropped, exchanged or swapped with the next, whatever their case.
  private static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one.lowercased()), Array(other.lowercased()))
    // rows[i][j]: between the first i letters of one and the first j of the other.
    var rows = [Array(0...other.count)]
    for i in 0..<one.count {
      var row = [i + 1]
      for j in 0..<other.count {
        var least = min(rows[i][j] + (one[i] == other[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, one[i] == other[j - 1], one[i - 1] == other[j] {
          least = min(least, rows[i - 1][j - 1] + 1)
        }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[one.count][other.count]
  }
}

extension Character {
  /// Whether it would disturb a terminal or a log.
  package var isControl: Bool { unicodeScalars.contains { $0.properties.generalCategory == .control } }
}
