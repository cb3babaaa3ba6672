import Foundation

/// Finds the files of a data set.
enum DataDirectory {
  static func isDirectory(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  /// The paths of the files that `isWanted` takes by their names, sorted, in a directory or in the folder `nested` of
  /// it, which is what the data set's archive unpacks to.
  ///
  /// Throws a ``DatasetError`` where there is no directory, or no such file; `pattern` is what it calls them.
  static func files(
    in directory: String, nested: String? = nil, called pattern: String, _ isWanted: (String) -> Bool
  ) throws(DatasetError) -> [String] {
    for directory in [directory] + (nested.map { [directory + "/" + $0] } ?? []) where isDirectory(directory)
    {
      let names: [String]
      do {
        names = try FileManager.default.contentsOfDirectory(atPath: directory)
      } catch {
        throw .unreadable(path: directory, reason: error.systemWords)
      }
      let wanted = names.filter(isWanted)
      if !wanted.isEmpty { return wanted.sorted().map { directory + "/" + $0 } }
    }
    guard isDirectory(directory) else { throw .missingDirectory(path: directory) }
    throw .noFiles(path: directory, pattern: pattern)
  }
}
