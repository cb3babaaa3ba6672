import Synchronization

/// A file that is left out, and why.
package struct BrokenFile: Sendable, Hashable, CustomStringConvertible {
  package let path: String
  package let reason: String

  package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

  package var description: String { "\(path): \(reason)" }

  /// How many are named before the rest is counted.
  private static let named = 3

  /// All of them in one line: their number, the first few, and how many more; nil for none.
  package static func summary(_ files: [BrokenFile]) -> String? {
    guard !files.isEmpty else { return nil }
    let names = files.prefix(named).map(\.description).joined(separator: "; ")
    let more = files.count > named ? "; and \(files.count - named) more" : ""
    return "\(files.count) broken \(files.count == 1 ? "file is" : "files are") left out: \(names)\(more)"
  }
}

/// Tells of broken files once each.
package final class BrokenFileNews: Sendable {
  private let told = Mutex(Set<String>())

  package init() {}

  /// A line about those that it has not told of yet; nil where there are none.
  package func line(_ files: [BrokenFile]) -> String? {
    let news = told.withLock { told in files.filter { told.insert($0.path).inserted } }
    return BrokenFile.summary(news)
  }
}
