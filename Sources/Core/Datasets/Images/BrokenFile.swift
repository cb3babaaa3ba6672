import Support
import Synchronization

/// A file that is left out, and why.
package struct BrokenFile: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// Of the file.
  package let path: String
  /// As the system or the decoder says it.
  package let reason: String

  /// A file that cannot be used.
  package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

  /// On one line, whatever the file is called.
  package var description: String { Spelling.harmless("\(path): \(reason)") }

  /// By their paths, byte by byte.
  package static func < (one: BrokenFile, other: BrokenFile) -> Bool {
    one.path.utf8.lexicographicallyPrecedes(other.path.utf8)
  }

  /// How many are named before the rest is counted.
  private static let named = 3

  /// All of them in one line: their number, the first few, and how many more; nil for none.
  package static func summary(_ files: [BrokenFile]) -> String? {
    files.isEmpty ? nil : "\(count(files)) left out: \(names(files))"
  }

  /// The same of files for which everything is rejected.
  package static func rejection(_ files: [BrokenFile]) -> String {
    "\(count(files)) rejected: \(names(files))"
  }

  private static func count(_ files: [BrokenFile]) -> String {
    files.count == 1 ? "1 broken file is" : "\(files.count) broken files are"
  }

  private static func names(_ files: [BrokenFile]) -> String {
    let names = files.prefix(named).map(\.description).joined(separator: "; ")
    return files.count > named ? "\(names); and \(files.count - named) more" : names
  }
}

/// Tells of broken files once each.
package final class BrokenFileNews: Sendable {
  /// Paths as bytes: two that look alike are two.
  private let told = Mutex(Set<[UInt8]>())

  /// Nothing has been told yet.
  package init() {}

  /// A line about those that it has not told of yet; nil where there are none.
  package func line(_ files: [BrokenFile]) -> String? {
    let news = told.withLock { told in files.filter { told.insert(Array($0.path.utf8)).inserted } }
    return BrokenFile.summary(news)
  }
}
