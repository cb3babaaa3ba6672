import Datasets
import Support

/// Which field someone meant who wrote one that does not exist.
enum NearestKey {
  /// The whole path of the likeliest field or section: of the same section if one is spelled alike,
  /// otherwise one of that very name elsewhere, the less deep the likelier. Nil if nothing is near.
  static func suggestion(for key: String, section: String) -> String? {
    let key = Spelling.shortened(key)
    let paths = PlanField.all.map(\.path) + PlanField.all.map(\.section).filter { !$0.isEmpty }
    let siblings = paths.filter { parent(of: $0) == section }
    if let nearest = Spelling.nearest(to: key, among: siblings, by: name) { return nearest }
    return paths.filter { name(of: $0).lowercased() == key.lowercased() }.min {
      depth(of: $0) < depth(of: $1)
    }
  }

  private static func depth(of path: String) -> Int { path.count { $0 == "." } }

  private static func parent(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
  }

  private static func name(of path: String) -> String {
    path.lastIndex(of: ".").map { String(path[path.index(after: $0)...]) } ?? path
  }
}
