import Foundation

/// The image files below a folder, in the order of their paths, byte by byte.
///
/// Links are followed. A folder is read once, however many links lead to it, so that links in a circle end. What is
/// called `.something` is passed over, and so is whatever is not called .jpg, .jpeg or .png.
struct FolderListing {
  /// Paths from the folder on.
  private(set) var files: [String] = []
  /// The folders at the top, in their order, whether there are images in them or not.
  private(set) var topFolders: [String] = []

  private let root: String
  private var visited: Set<Identity> = []

  /// More images than anybody has in a folder; they bound the memory.
  private static let most = 10_000_000
  private static let extensions = [".jpg", ".jpeg", ".png"]

  /// What tells a folder from all others.
  private struct Identity: Hashable {
    let device: UInt64
    let node: UInt64
  }

  private enum Kind {
    case folder(Identity)
    case file
    case other
  }

  /// Throws a ``DatasetError`` for a folder that is missing, cannot be read or holds no images.
  init(_ path: String) throws(DatasetError) {
    root = path
    guard case .folder(let identity) = Self.kind(of: path) else { throw .missingDirectory(path: path) }
    visited.insert(identity)
    try descend("")
    guard !files.isEmpty else { throw .noFiles(path: path, pattern: "*.jpg, *.jpeg or *.png") }
  }

  private mutating func descend(_ folder: String) throws(DatasetError) {
    let path = folder.isEmpty ? root : root + "/" + folder
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw .unreadable(path: path, reason: error.localizedDescription)
    }
    for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) where !name.hasPrefix(".") {
      let relative = folder.isEmpty ? name : folder + "/" + name
      switch Self.kind(of: path + "/" + name) {
      case .folder(let identity):
        if folder.isEmpty { topFolders.append(name) }
        if visited.insert(identity).inserted { try descend(relative) }
      case .file where Self.isImage(name):
        guard files.count < Self.most else {
          throw .malformed(path: root, problem: "more than \(Self.most) images")
        }
        files.append(relative)
      case .file, .other: break
      }
    }
  }

  private static func isImage(_ name: String) -> Bool {
    let name = name.lowercased()
    return extensions.contains { name.hasSuffix($0) }
  }

  /// What a path leads to at last. A link to nothing counts as a file, so that somebody hears of it.
  private static func kind(of path: String) -> Kind {
    var status = stat()
    guard stat(path, &status) == 0 else { return .file }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder(Identity(device: UInt64(status.st_dev), node: UInt64(status.st_ino)))
    case S_IFREG: return .file
    default: return .other
    }
  }
}
