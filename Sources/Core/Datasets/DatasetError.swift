import Support
import Synchronization

/// What is wrong with a data set, its specification or a partition; the description is one line.
package enum DatasetError: Error, Equatable, CustomStringConvertible {
  /// A specification such as `shapes:1000?size=32` that cannot be understood.
  case badSpecification(String, problem: String)
  /// Nothing there.
  case missingDirectory(path: String)
  /// Something there that is not a directory.
  case notDirectory(path: String)
  /// The directory is there, but nothing in it is named as the format wants.
  case noFiles(path: String, pattern: String)
  /// What the system said when a file or directory was opened.
  case unreadable(path: String, reason: String)
  /// What the system said when a file was written.
  case unwritable(path: String, reason: String)
  /// A file that is not a whole number of records.
  case wrongSize(path: String, bytes: Int, recordBytes: Int)
  /// A label over the largest; records count from 0. Where an option says how many classes there are, it is offered.
  case badLabel(path: String, record: Int, label: Int, classes: Int, option: String? = nil)
  /// A file that is not what its format says, or an array that cannot be images or labels.
  case malformed(path: String, problem: String)
  /// More bytes than this process may have memory.
  case tooLarge(path: String, bytes: Int, memory: Int)
  /// Images that cannot be read, where all must be.
  case broken([BrokenFile])
  /// Fewer images that can be read than a batch needs, and what is broken beside them.
  case tooFew(count: Int, broken: [BrokenFile])
  /// Images without labels, where those are needed for what is named, and what is wrong with those that there are.
  case unlabelled(for: String, problem: String? = nil)
  /// Labels of training and of test images that do not mean the same.
  case differentClasses(train: [String], test: [String])
  /// A partition such as `dirichlet:0.5` that cannot be understood.
  case badPartition(String, problem: String)
  /// A partition that these images and this many clients do not allow.
  case impossibleSplit(partition: String, problem: String)

  /// One line for a user: what is wrong, where, and what would be right. Whatever stands in it from a file, or in a
  /// file's name, it stays one line, and nothing for a terminal to obey.
  package var description: String { ForeignText(words, limit: .max).description }

  private var words: String {
    switch self {
    case .badSpecification(let text, let problem):
      "data '\(text)': \(problem); accepted: \(DataSpec.accepted)"
    case .missingDirectory(let path):
      "\(path): no such directory"
    case .notDirectory(let path):
      "\(path): is not a directory"
    case .noFiles(let path, let pattern):
      "\(path): no file named \(pattern) in this directory"
    case .unreadable(let path, let reason):
      "\(path): cannot be read: \(reason)"
    case .unwritable(let path, let reason):
      "\(path): cannot be written: \(reason)"
    case .wrongSize(let path, let bytes, let recordBytes):
      bytes == 0
        ? "\(path): is empty, where records of \(recordBytes) bytes are expected"
        : "\(path): \(bytes) bytes are not a multiple of \(recordBytes): \(bytes % recordBytes) left over"
    case .badLabel(let path, let record, let label, let classes, let option):
      "\(path): record \(record) has label \(label), where labels are 0 to \(classes - 1)"
        + (option.map { "; \($0) takes another number of classes" } ?? "")
    case .malformed(let path, let problem):
      "\(path): \(problem)"
    case .tooLarge(let path, let bytes, let memory):
      "\(path): \(bytes / 1_000_000) MB of images, where there are \(memory / 1_000_000) MB of memory; "
        + "take some of them with limit=N"
    case .broken(let files):
      BrokenFile.rejection(files)
    case .tooFew(let count, let broken):
      (count == 0 ? "no image" : "one image") + " can be read, and two are needed"
        + (BrokenFile.summary(broken).map { ": \($0)" } ?? "")
    case .unlabelled(let purpose, let problem):
      "\(purpose) needs labels, and the images have none" + (problem.map { ": \($0)" } ?? "")
    case .differentClasses(let train, let test):
      "the training images' classes (\(Self.list(train))) are not the test images' (\(Self.list(test)))"
    case .badPartition(let text, let problem):
      "partition '\(text)': \(problem); accepted: \(Partition.accepted)"
    case .impossibleSplit(let partition, let problem):
      "partition \(partition): \(problem)"
    }
  }
}

extension DatasetError {
  /// What is wrong with a file that cannot be read, without its path.
  var problem: String {
    switch self {
    case .unreadable(_, let reason): reason
    default: description
    }
  }

  private static func list(_ names: [String]) -> String {
    names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}

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
