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
  /// What nobody can look into or open.
  private(set) var broken: [BrokenFile] = []

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

  /// Throws a ``DatasetError`` for a folder that is missing, cannot be read or holds nothing that could be images.
  init(_ path: String) throws(DatasetError) {
    root = path
    guard case .folder(let identity) = Self.kind(of: path) else { throw .missingDirectory(path: path) }
    visited.insert(identity)
    try descend("")
    guard !files.isEmpty || !broken.isEmpty else {
      throw .noFiles(path: path, pattern: "*.jpg, *.jpeg or *.png")
    }
  }

  private mutating func descend(_ folder: String) throws(DatasetError) {
    let path = folder.isEmpty ? root : root + "/" + folder
    guard let names = names(in: path) else {
      let reason = String(cString: strerror(errno))
      guard !folder.isEmpty else { throw .unreadable(path: path, reason: reason) }
      return broken.append(BrokenFile(path: path, reason: reason))
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

  /// What is in a folder; nil where it cannot be read, and `errno` says why. A name that is no text has no path that
  /// could be opened later: what might be images is noted as broken.
  private mutating func names(in path: String) -> [String]? {
    guard let stream = opendir(path) else { return nil }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let (name, isText) = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        let bytes = bytes.prefix { $0 != 0 }
        return (String(decoding: bytes, as: UTF8.self), String(validating: bytes, as: UTF8.self) != nil)
      }
      let mayBeFolder = [DT_DIR, DT_LNK, DT_UNKNOWN].contains(Int(entry.pointee.d_type))
      if isText {
        names.append(name)
      } else if mayBeFolder || Self.isImage(name) {
        broken.append(BrokenFile(path: path + "/" + name, reason: "its name is not UTF-8"))
      }
      errno = 0
    }
    return errno == 0 ? names : nil
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
