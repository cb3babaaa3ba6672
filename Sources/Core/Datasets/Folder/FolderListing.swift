import Foundation

/// The image files below a folder, in the order of their paths, byte by byte.
///
/// Links are followed. A folder is read once, however many links lead to it, so that links in a circle end. What is
/// called `.something` is passed over, and so is what machines put beside images; whatever else is not called as an
/// image is counted.
struct FolderListing {
  /// Paths from the folder on.
  private(set) var files: [FilePath] = []
  /// The folders at the top, in their order, whether there are images in them or not.
  private(set) var topFolders: [FilePath] = []
  /// What nobody can look into or open.
  private(set) var broken: [BrokenFile] = []
  private(set) var passedOver = PassedOver()

  private let root: FilePath
  private var visited: Set<Identity> = []

  /// More images than anybody has in a folder; they bound the memory.
  private static let most = 10_000_000
  /// What images are called, for messages.
  static let pattern = "*.jpg, *.jpeg, *.jfif or *.png"
  private static let extensions = [".jpg", ".jpeg", ".jpe", ".jfif", ".png"].map { Array($0.utf8) }
  /// Thumbnails, bins and snapshots of Synology's and QNAP's machines, of macOS, Windows and Linux's file systems.
  private static let others = Set(
    [
      "@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb", "__MACOSX",
      "$RECYCLE.BIN", "System Volume Information", "lost+found",
    ].map { FilePath($0) })

  /// What tells a folder from all others.
  private struct Identity: Hashable {
    let device: UInt64
    let node: UInt64
  }

  private enum Kind {
    case folder(Identity)
    case file
    case other
    /// The system cannot tell, for a reason that has a number.
    case unknown(Int32)
  }

  /// Throws a ``DatasetError`` for a folder that is missing, cannot be read or holds nothing that could be images.
  init(_ path: String) throws(DatasetError) {
    root = FilePath(path)
    try DataDirectory.require(path)
    if case .folder(let identity) = Self.kind(of: root) { visited.insert(identity) }
    try descend(FilePath(""))
    guard !files.isEmpty || !broken.isEmpty else {
      guard let others = passedOver.summary else { throw .noFiles(path: path, pattern: Self.pattern) }
      throw .malformed(path: path, problem: "no file named \(Self.pattern) in this folder; \(others)")
    }
  }

  private mutating func descend(_ folder: FilePath) throws(DatasetError) {
    let path = root.appending(folder)
    guard let names = try names(in: path) else { return try leave(folder, errno) }
    for name in names.sorted() where name.bytes.first != UInt8(ascii: ".") && !Self.others.contains(name) {
      let (relative, place) = (folder.appending(name), path.appending(name))
      switch Self.kind(of: place) {
      case .folder(let identity):
        if folder.bytes.isEmpty { topFolders.append(name) }
        if visited.insert(identity).inserted { try descend(relative) }
      case .file where Self.isImage(name):
        guard files.count < Self.most else { throw tooMany }
        files.append(relative)
      case .file: passedOver.count(name)
      case .other: break
      // Nothing in the folder can be looked at: this is said once, of the folder.
      case .unknown(EACCES) where !Self.isThere(place): return try leave(folder, EACCES)
      // A link to nothing matters where somebody expects an image.
      case .unknown(let number) where Self.isImage(name) || ![ENOENT, ELOOP, ENOTDIR].contains(number):
        broken.append(BrokenFile(path: place.description, reason: String(cString: strerror(number))))
      case .unknown: break
      }
    }
  }

  /// Notes a folder that cannot be read; throws where it is the one at the top.
  private mutating func leave(_ folder: FilePath, _ number: Int32) throws(DatasetError) {
    let (path, reason) = (root.appending(folder).description, String(cString: strerror(number)))
    guard !folder.bytes.isEmpty else { throw .unreadable(path: path, reason: reason) }
    broken.append(BrokenFile(path: path, reason: reason))
  }

  private var tooMany: DatasetError {
    .malformed(path: root.description, problem: "more than \(Self.most) images")
  }

  /// What is in a folder; nil where it cannot be read, and `errno` says why.
  private func names(in path: FilePath) throws(DatasetError) -> [FilePath]? {
    guard let stream = path.withCString({ opendir($0) }) else { return nil }
    defer { closedir(stream) }
    var names: [FilePath] = []
    errno = 0
    while let entry = readdir(stream) {
      guard names.count < Self.most else { throw tooMany }
      names.append(
        FilePath(withUnsafeBytes(of: entry.pointee.d_name) { bytes in Array(bytes.prefix { $0 != 0 }) }))
      errno = 0
    }
    return errno == 0 ? names : nil
  }

  private static func isImage(_ name: FilePath) -> Bool {
    extensions.contains { ending in
      name.bytes.count >= ending.count
        && zip(name.bytes.suffix(ending.count), ending).allSatisfy {
          $0 == $1 || ($0 | 0x20 == $1 && $1 > 0x60)
        }
    }
  }

  /// What a path leads to at last.
  private static func kind(of path: FilePath) -> Kind {
    var status = stat()
    guard path.withCString({ stat($0, &status) }) == 0 else { return .unknown(errno) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder(Identity(device: UInt64(status.st_dev), node: UInt64(status.st_ino)))
    case S_IFREG: return .file
    default: return .other
    }
  }

  /// Whether the path can be looked at itself, wherever it leads.
  private static func isThere(_ path: FilePath) -> Bool {
    var status = stat()
    return path.withCString { lstat($0, &status) } == 0
  }
}
