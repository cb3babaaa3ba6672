import Foundation

/// Where a client keeps what it must not forget.
enum StateFolder {
  static func url(_ given: String?, name: String) -> URL {
    if let given { return URL(fileURLWithPath: given, isDirectory: true) }
    // The shell's ~, where there is one: Foundation would ask the table of users.
    let named = ProcessInfo.processInfo.environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
    let home =
      named.map { URL(fileURLWithPath: $0, isDirectory: true) }
      ?? FileManager.default.homeDirectoryForCurrentUser
    return home.appendingPathComponent(".local/state/strata/\(name)", isDirectory: true)
  }
}
