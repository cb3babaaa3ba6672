import Foundation

/// Files that lie beside the package and are not part of it; tests that need them are skipped without.
enum SharedFolder {
  static let url = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared")

  static let golden = url.appendingPathComponent("golden")
  static let cifar10 = url.appendingPathComponent("data/cifar10")

  static func holds(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
}
