/// Which field someone meant who wrote one that does not exist.
enum NearestKey {
  /// The whole path of the likeliest field or section: of the same section if one is spelled alike,
  /// otherwise one of that very name elsewhere. Nil if nothing is near.
  static func suggestion(for key: String, section: String) -> String? {
    let key = shortened(key)
    let paths = PlanField.all.map(\.path) + PlanField.all.map(\.section).filter { !$0.isEmpty }
    let siblings = paths.filter { parent(of: $0) == section }
    let nearest = siblings.map { ($0, distance(key, name(of: $0))) }.min { $0.1 < $1.1 }
    if let nearest, nearest.1 <= max(1, key.count / 3) { return nearest.0 }
    return paths.first { name(of: $0).lowercased() == key.lowercased() }
  }

  /// A key as far as it can matter: nothing that long is a field, and a message should stay short.
  static func shortened(_ key: String) -> String {
    let plain = key.map { $0.isControl || $0.isNewline ? " " : $0 }
    return plain.count <= 40 ? String(plain) : String(plain.prefix(40)) + "…"
  }

  private static func parent(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
  }

  private static func name(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[path.index(after: $0)...]) } ?? path
  }

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
