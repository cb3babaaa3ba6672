import Datasets

/// Which field someone meant who wrote one that does not exist.
enum NearestKey {
  /// The whole path of the likeliest field or section: of the same section if one is spelled alike,
  /// otherwise one of that very name elsewhere. Nil if nothing is near.
  static func suggestion(for key: String, section: String) -> String? {
    let key = Spelling.shortened(key)
    let paths = PlanField.all.map(\.path) + PlanField.all.map(\.section).filter { !$0.isEmpty }
    let siblings = paths.filter { parent(of: $0) == section }
    if let nearest = Spelling.nearest(to: key, among: siblings, by: name) { return nearest }
    return paths.first { name(of: $0).lowercased() == key.lowercased() }
  }

  private static func parent(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
  }

  private static func name(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[path.index(after: $0)...]) } ?? path
  }
}
