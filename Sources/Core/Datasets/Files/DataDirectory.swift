import Foundation

/// Finds the files of a data set.
enum DataDirectory {
  static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// Throws a ``DatasetError`` unless the path is a directory.
  static func require(_ path: String) throws(DatasetError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      let number = errno
      guard number != ENOENT else { throw .missingDirectory(path: path) }
      throw .unreadable(path: path, reason: String(cString: strerror(number)))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw .notDirectory(path: path) }
  }

  /// Returns the names in a directory, sorted.
  static func names(in directory: String) throws(DatasetError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    } catch {
      throw .unreadable(path: directory, reason: error.systemWords)
    }
  }

  /// Returns the sorted paths of the files whose names `isWanted` accepts, from a directory or from the first of its
  /// subfolders `nested` that contains any; the data set's archive unpacks to these.
  ///
  /// Throws a ``DatasetError`` if there is no directory or no such file. The error names `pattern`, unless `explain`
  /// derives a better reason from the names found.
  static func files(
    in directory: String, nested: [String] = [], called pattern: String,
    _ isWanted: (String) -> Bool, explain: ([String]) -> String? = { _ in nil }
  ) throws(DatasetError) -> [String] {
    try require(directory)
    var seen: [String] = []
    for folder in [directory] + nested.map({ directory + "/" + $0 }) where isDirectory(folder) {
      let names = try names(in: folder)
      let wanted = names.filter(isWanted).map { folder + "/" + $0 }.filter { !isDirectory($0) }
      if !wanted.isEmpty { return wanted }
      seen += names
    }
    if let problem = explain(seen) { throw .malformed(path: directory, problem: problem) }
    throw .noFiles(path: directory, pattern: pattern)
  }
}
