import Foundation

/// The sources that these tests were built from.
enum Repository {
  /// The package's folder, above Tests/CommandTests/Documents.
  static let root: URL = {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { folder.deleteLastPathComponent() }
    return folder
  }()

  /// The documents: README.md, CONTRIBUTING.md, CHANGELOG.md, docs/*.md and deploy/**/README.md, as paths from the root.
  static let documents: [String] = {
    let docs = files(under: "docs").filter { $0.hasSuffix(".md") }
    return ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
      + (docs + files(under: "deploy").filter { $0.hasSuffix("/README.md") }).sorted()
  }()

  /// Returns the regular files in a folder and its subfolders, as paths from the root.
  static func files(under folder: String) -> [String] {
    let url = root.appendingPathComponent(folder)
    let found = FileManager.default.enumerator(at: url, includingPropertiesForKeys: [.isRegularFileKey])
    return (found?.allObjects as? [URL] ?? []).filter { !$0.hasDirectoryPath }
      .map { folder + $0.path.dropFirst(url.path.count) }.sorted()
  }

  static func holds(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
  }

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }
}
