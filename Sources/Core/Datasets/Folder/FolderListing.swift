import Foundation

/// The image files below a folder, ordered by path, byte by byte.
///
/// Links are followed. Each folder is read once, however many links lead to it, so cycles end. Names that start with a
/// dot and folders that NAS devices and operating systems add are skipped; other files that are not images are counted.
struct FolderListing {
  /// Paths relative to the folder.
  private(set) var files: [FilePath] = []
  /// The top-level folders in order, with or without images.
  private(set) var topFolders: [FilePath] = []
  /// Files and folders that cannot be inspected or opened.
  private(set) var broken: [BrokenFile] = []
  private(set) var passedOver = PassedOver()

  private let root: FilePath
  private var visited: Set<Identity> = []

  /// The maximum number of images, which bounds the memory.
  private static let most = 10_000_000
  /// The names of images, for messages.
  static let pattern = "*.jpg, *.jpeg, *.jfif or *.png"
  private static let extensions = [".jpg", ".jpeg", ".jpe", ".jfif", ".png"].map { Array($0.utf8) }
  /// Thumbnails, recycle bins and snapshots of Synology and QNAP devices, macOS, Windows and Linux file systems.
  private static let others = Set(
    [
      "@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb", "__MACOSX",
      "$RECYCLE.BIN", "System Volume Information", "lost+found",
    ].map { FilePath($0) })

  /// Identifies a folder.
  private struct Identity: Hashable {
    let device: UInt64
    let node: UInt64
  }

  private enum Kind {
    case folder(Identity)
    case file
    case other
    /// The path cannot be inspected; with the error number.
    case unknown(Int32)
  }

  /// Lists a folder. Throws a ``DatasetError`` if it is missing or unreadable, or contains no candidates for images.
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
      // Nothing in the folder can be inspected; this is recorded once, for the folder.
      case .unknown(EACCES) where !Self.isThere(place): return try leave(folder, EACCES)
      // A dangling link is an error only if its name is that of an image.
      case .unknown(let number) where Self.isImage(name) || ![ENOENT, ELOOP, ENOTDIR].contains(number):
        broken.append(BrokenFile(path: place.description, reason: String(cString: strerror(number))))
      case .unknown: break
      }
    }
  }

  /// Records a folder that cannot be read; throws if it is the root.
  private mutating func leave(_ folder: FilePath, _ number: Int32) throws(DatasetError) {
    let (path, reason) = (root.appending(folder).description, String(cString: strerror(number)))
    guard !folder.bytes.isEmpty else { throw .unreadable(path: path, reason: reason) }
    broken.append(BrokenFile(path: path, reason: reason))
  }

  private var tooMany: DatasetError {
    .malformed(path: root.description, problem: "more than \(Self.most) images")
  }

  /// Returns the names in a folder; nil if it cannot be read, with the reason in `errno`.
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

  /// Returns the kind of a path after following links.
  private static func kind(of path: FilePath) -> Kind {
    var status = stat()
    guard path.withCString({ stat($0, &status) }) == 0 else { return .unknown(errno) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder(Identity(device: UInt64(status.st_dev), node: UInt64(status.st_ino)))
    case S_IFREG: return .file
    default: return .other
    }
  }

  /// Whether the path can be inspected without following links.
  private static func isThere(_ path: FilePath) -> Bool {
    var status = stat()
    return path.withCString { lstat($0, &status) } == 0
  }
}
