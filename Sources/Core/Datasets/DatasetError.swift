import Support
import Synchronization

/// An error in a data set, a specification or a partition; the description is one line.
package enum DatasetError: Error, Equatable, CustomStringConvertible {
  /// An invalid specification such as `shapes:1000?size=32`.
  case badSpecification(String, problem: String)
  /// The directory does not exist.
  case missingDirectory(path: String)
  /// The path is not a directory.
  case notDirectory(path: String)
  /// The directory contains no file with a name of the format.
  case noFiles(path: String, pattern: String)
  /// A file or directory cannot be opened, with the system's reason.
  case unreadable(path: String, reason: String)
  /// A file cannot be written, with the system's reason.
  case unwritable(path: String, reason: String)
  /// A file does not contain a whole number of records.
  case wrongSize(path: String, bytes: Int, recordBytes: Int)
  /// A label is too large; records count from 0. If an option sets the number of classes, the message names it.
  case badLabel(path: String, record: Int, label: Int, classes: Int, option: String? = nil)
  /// A file does not follow its format, or an array cannot be images or labels.
  case malformed(path: String, problem: String)
  /// The data needs more bytes than the memory limit of the process.
  case tooLarge(path: String, bytes: Int, memory: Int)
  /// Images cannot be read, although all are required.
  case broken([BrokenFile])
  /// Fewer images can be read than a batch needs; with the broken files.
  case tooFew(count: Int, broken: [BrokenFile])
  /// The data have no labels, although the named purpose needs them; with the problem of existing labels.
  case unlabelled(for: String, problem: String? = nil)
  /// The split of a graph has no labelled nodes of a kind that the named purpose needs.
  case noNodes(for: String, kind: String)
  /// The labels of training and test images have different meanings.
  case differentClasses(train: [String], test: [String])
  /// Images have classes that are not those of the job.
  case otherClasses(job: ClassList, own: ClassList)
  /// Examples that are not of the kind that the encoder takes; both kinds in words.
  case otherInput(own: String, encoder: String)
  /// Rows whose number of targets is not that of the encoder's outputs.
  case otherTargets(own: Int, encoder: Int)
  /// An invalid partition such as `dirichlet:0.5`.
  case badPartition(String, problem: String)
  /// A partition that is impossible for these images and this number of clients.
  case impossibleSplit(partition: String, problem: String)

  /// One line for the user: the problem, the place, and the correct form. Text from a file or a file's name is escaped,
  /// so that it cannot break the line or control the terminal.
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
        + (option.map { "; \($0) sets the number of classes" } ?? "")
    case .malformed(let path, let problem):
      "\(path): \(problem)"
    case .tooLarge(let path, let bytes, let memory):
      "\(path): \(bytes / 1_000_000) MB of images exceed the \(memory / 1_000_000) MB of memory; "
        + "load fewer with limit=N"
    case .broken(let files):
      BrokenFile.rejection(files)
    case .tooFew(let count, let broken):
      (count == 0 ? "no image" : "one image") + " can be read, and two are needed"
        + (BrokenFile.summary(broken).map { ": \($0)" } ?? "")
    case .unlabelled(let purpose, let problem):
      "\(purpose) needs labels, and the data have none" + (problem.map { ": \($0)" } ?? "")
    case .noNodes(let purpose, let kind):
      "\(purpose) needs \(kind) nodes with labels, and the graph's split has none"
    case .differentClasses(let train, let test):
      "the training images' classes (\(Self.list(train))) differ from the test images' (\(Self.list(test)))"
    case .otherClasses(let job, let own):
      "the images' classes (\(Self.words(own))) are not those of the job (\(Self.words(job)))"
    case .otherInput(let own, let encoder):
      "the data are \(own), and the encoder takes \(encoder)"
    case .otherTargets(let own, let encoder):
      "the rows have \(counted(own, "target")), and the encoder has \(counted(encoder, "output"))"
    case .badPartition(let text, let problem):
      "partition '\(text)': \(problem); accepted: \(Partition.accepted)"
    case .impossibleSplit(let partition, let problem):
      "partition \(partition): \(problem)"
    }
  }
}

extension DatasetError {
  /// The problem with a file that cannot be read, without its path.
  var problem: String {
    switch self {
    case .unreadable(_, let reason): reason
    default: description
    }
  }

  private static func words(_ classes: ClassList) -> String {
    switch classes {
    case .count(let count): count == 0 ? "none" : "\(count) without names: 0 to \(count - 1)"
    case .names(let names):
      names.prefix(20).joined(separator: ", ")
        + (names.count > 20 ? " and \(names.count - 20) more" : "")
    }
  }

  private static func list(_ names: [String]) -> String {
    names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}

/// A file that is skipped, and the reason.
package struct BrokenFile: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The path of the file.
  package let path: String
  /// The reason from the system or the decoder.
  package let reason: String

  /// Creates a record of a file that cannot be used.
  package init(path: String, reason: String) { (self.path, self.reason) = (path, reason) }

  /// The path and the reason on one line, escaped.
  package var description: String { Spelling.harmless("\(path): \(reason)") }

  /// Orders by path, byte by byte.
  package static func < (one: BrokenFile, other: BrokenFile) -> Bool {
    one.path.utf8.lexicographicallyPrecedes(other.path.utf8)
  }

  /// The number of files that a summary names.
  private static let named = 3

  /// Returns one line about the files: their number, the first few, and the number of the others; nil for none.
  package static func summary(_ files: [BrokenFile]) -> String? {
    files.isEmpty ? nil : "\(count(files)) left out: \(names(files))"
  }

  /// Returns one line about files that cause everything to be rejected.
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

/// Reports each broken file once.
package final class BrokenFileNews: Sendable {
  /// Paths as bytes, so that paths which look alike remain distinct.
  private let told = Mutex(Set<[UInt8]>())

  /// Creates an empty record of reported files.
  package init() {}

  /// Returns a line about the files not yet reported; nil if there are none.
  package func line(_ files: [BrokenFile]) -> String? {
    let news = told.withLock { told in files.filter { told.insert(Array($0.path.utf8)).inserted } }
    return BrokenFile.summary(news)
  }
}
