import Foundation

/// Files outside the package; tests that need them are skipped if they are missing.
enum SharedFolder {
  /// The folder `shared` next to the package, or next to its parent folder, as for a second clone.
  static let url: URL = {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<5 { folder.deleteLastPathComponent() }
    let places = [folder, folder.deletingLastPathComponent()].map { $0.appendingPathComponent("shared") }
    return places.first(where: holds) ?? places[0]
  }()

  static let golden = url.appendingPathComponent("golden")
  static let cifar10 = url.appendingPathComponent("data/cifar10")
  static let fashion = url.appendingPathComponent("data/fashion-mnist")
  static let medmnist = url.appendingPathComponent("data/medmnist/pneumoniamnist.npz")
  static let cases = url.appendingPathComponent("cases")
  static let folder = url.appendingPathComponent("data/image-folder")
  static let planetoid = url.appendingPathComponent("data/planetoid")

  static func holds(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }
}
