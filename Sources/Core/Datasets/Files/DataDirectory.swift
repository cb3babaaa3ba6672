import Foundation

/// Finds the files of a data set.
enum DataDirectory {
  static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// Throws a ``DatasetError`` where there is no directory, or something else.
  static func require(_ path: String) throws(DatasetError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      let number = errno
      guard number != ENOENT else { throw .missingDirectory(path: path) }
      throw .unreadable(path: path, reason: String(cString: strerror(number)))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw .notDirectory(path: path) }
  }

  /// What is in a directory, sorted.
  static func names(in directory: String) throws(DatasetError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    } catch {
      throw .unreadable(path: directory, reason: error.systemWords)
    }
  }

  /// The paths of the files that `isWanted` takes by their names, sorted, in a directory or in the first of the folders
  /// `nested` of it that has any: they are what the data set's archive unpacks to.
  ///
  /// Throws a ``DatasetError`` where there is no directory, or no such file; `pattern` is what it calls them, unless
  /// `explain` knows better from the names that are there.
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
