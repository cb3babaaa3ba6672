import Foundation

/// Where a client keeps what it must not forget.
enum StateFolder {
  static func url(_ given: String?, name: String) -> URL {
    if let given { return URL(fileURLWithPath: given, isDirectory: true) }
    let home = FileManager.default.homeDirectoryForCurrentUser
    return home.appendingPathComponent(".local/state/strata/\(name)", isDirectory: true)
  }
}
