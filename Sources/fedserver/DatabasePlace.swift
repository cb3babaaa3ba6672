import Commands
import Foundation

/// What keeps a database from being used, in words: SQLite has one message for all of it.
enum DatabasePlace {
  /// Throws ``CommandFailure`` where a server cannot have its database at a path, whether there is one or not.
  static func requireUsable(_ path: String) throws(CommandFailure) {
    let folder = folder(of: path)
    guard !isFolder(path) else { throw CommandFailure(.store, "\(path): it is a folder, and no database") }
    guard access(folder, F_OK) == 0 else {
      throw CommandFailure(.store, "\(path): its folder \(folder): \(String(cString: strerror(errno)))")
    }
    guard access(path, F_OK) != 0 || access(path, R_OK | W_OK) == 0 else {
      throw CommandFailure(.store, "\(path): no permission to read and write it")
    }
    // What belongs to it is beside it, even while it is only read.
    guard access(folder, W_OK | X_OK) == 0 else { throw noPlace(for: path, in: folder) }
  }

  private static func noPlace(for path: String, in folder: String) -> CommandFailure {
    CommandFailure(.store, "\(path): no permission to write in its folder \(folder)")
  }

  private static func folder(of path: String) -> String {
    URL(fileURLWithPath: path).deletingLastPathComponent().path
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }
}
