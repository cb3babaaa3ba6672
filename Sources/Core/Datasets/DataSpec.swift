import Engine
import Foundation
import Support

/// The role of a data set: training or evaluation.
package enum DataRole: Sendable, Hashable {
  /// For training encoders and fitting probes.
  case train
  /// For evaluation.
  case test
}

/// The source of examples, written by the user as `KIND:ARGUMENT[?option=value&…]` (docs/data.md). A `?` in the argument
/// and a `&` in a value are doubled.
///
/// To add a kind of data, extend ``Source``, ``DataSpec/kinds`` and `load`, and add a reader in a separate file.
package struct DataSpec: Sendable, Hashable, CustomStringConvertible {
  /// The kinds of data.
  package enum Source: Sendable, Hashable {
    /// CIFAR-10's binary files in a directory, or files of that format with another number of classes.
    case cifar10(directory: String, classes: Int = 10)
    /// CIFAR-100's binary files in a directory.
    case cifar100(directory: String, labels: CIFAR100.Labels)
    /// STL-10's binary files in a directory; a nil split is derived from the role.
    case stl10(directory: String, split: STL10.Split?)
    /// A file of images and one of labels, or a directory with both, as for MNIST.
    case idx(path: String, labels: String?)
    /// An array file with images, and one with labels.
    case npy(path: String, labels: String?)
    /// Arrays in an archive; nil keys are those of MedMNIST's split, and a nil split is derived from the role.
    case npz(path: String, split: NumPyImages.Split?, images: String?, labels: String?)
    /// A folder of JPEG and PNG files; `cache` limits the memory for decoded images, in bytes.
    case folder(path: String, labels: ImageFolder.Labels?, cache: Int)
    /// The built-in generator; a nil size and nil channels are the encoder's.
    case shapes(count: Int, size: Int?, channels: Int?, seed: UInt64)
    /// Rows of numbers in a file.
    case rows(path: String, RowOptions)
    /// Generated rows of a linear regression.
    case regression(count: Int, GeneratedRows)
    /// A graph in an archive of arrays, or in a folder of text and arrays.
    case graph(path: String, GraphOptions)
    /// The built-in graphs.
    case blocks(BlockModel, normalisesRows: Bool)
  }

  /// The kind of data with its argument and options.
  package let source: Source
  /// The seed of a shuffle before images are skipped; nil for the original order.
  package let shuffle: UInt64?
  /// The number of images to skip at the start, for example because another client has them.
  package let skip: Int
  /// The maximum number of images to take after those skipped.
  package let limit: Int?
  /// The specification as written.
  package let description: String

  /// The kinds and the names of their arguments.
  private static let kinds = [
    ("cifar10", "DIRECTORY"), ("cifar100", "DIRECTORY"), ("stl10", "DIRECTORY"), ("idx", "PATH"),
    ("npy", "FILE"), ("npz", "FILE"), ("folder", "DIRECTORY"), ("shapes", "COUNT"),
    ("graph", "PATH"), ("sbm", "NODES"), ("rows", "FILE"), ("regression", "COUNT"),
  ]

  /// The accepted forms, for messages and help texts.
  package static let accepted =
    kinds.map { "\($0):\($1)" }.joined(separator: ", ") + ", each with ?option=value&… (docs/data.md)"

  /// Parses a specification. Throws ``DatasetError/badSpecification(_:problem:)``.
  package init(parsing text: String) throws(DatasetError) {
    var options = try SpecificationOptions(parsing: text)
    let argument = options.argument
    switch options.kind {
    case "cifar10":
      // A label is one byte.
      source = .cifar10(directory: argument, classes: try options.take("classes", in: 1...256) ?? 10)
    case "cifar100":
      source = .cifar100(directory: argument, labels: try options.word("labels") ?? .fine)
    case "stl10": source = .stl10(directory: argument, split: try options.word("split"))
    case "idx": source = .idx(path: argument, labels: try options.text("labels"))
    case "npy": source = .npy(path: argument, labels: try options.text("labels"))
    case "npz":
      source = .npz(
        path: argument, split: try options.word("split"), images: try options.text("images"),
        labels: try options.text("labels"))
    case "folder":
      source = .folder(
        path: argument, labels: try options.word("labels"),
        cache: try options.bytes("cache") ?? Self.cache)
    case "shapes":
      source = .shapes(
        count: try options.number(argument, named: "COUNT", in: 1...10_000_000),
        size: try options.take("size", in: 8...512),
        channels: try options.take("channels", in: 1...3, except: 2),
        seed: UInt64(try options.take("seed", in: 0...Int.max) ?? 0))
    case "rows":
      source = .rows(
        path: argument,
        RowOptions(
          targets: try options.text("targets"), inputs: try options.text("inputs"),
          split: try options.word("split")))
    case "regression":
      source = .regression(
        count: try options.number(argument, named: "COUNT", in: 1...10_000_000),
        try GeneratedRows(taking: &options))
    case "graph": source = .graph(path: argument, try GraphOptions(taking: &options))
    case "sbm":
      source = .blocks(try BlockModel(taking: &options), normalisesRows: try options.normalisesRows())
    default: throw options.rejectKind(Self.kinds.map(\.0))
    }
    description = text
    guard !source.isGraph else {
      // A part of the nodes is not a part of the data.
      (shuffle, skip, limit) = (nil, 0, nil)
      try options.requireEmpty()
      return
    }
    shuffle = try options.take("shuffle", in: 0...Int.max).map { UInt64($0) }
    skip = try options.take("skip", in: 0...Int.max) ?? 0
    limit = try options.take("limit", in: 1...Int.max)
    try options.requireEmpty()
  }

  /// The default cache for decoded images of a folder, in bytes: 3600 photographs for an encoder of 32 pixels.
  private static let cache = 64_000_000
}

extension DataSpec {
  /// Reads or generates the images, or opens their folder, and fits them to an encoder. Without an encoder, images in
  /// memory keep their size, and generated images and folders use 3 x 32 x 32.
  ///
  /// Throws a ``DatasetError`` that names the file. With `strict`, all files of a folder are read, and a single broken
  /// file is an error.
  package func load(
    role: DataRole, for fit: ImageFit? = nil, strict: Bool = false
  ) throws(DatasetError) -> ImageSet {
    let all = try read(role, fit ?? ImageFit(size: 32, channels: 3))
    if strict {
      let broken = all.verify(Workers(ProcessInfo.processInfo.activeProcessorCount))
      guard broken.isEmpty else { throw .broken(broken) }
    }
    let taken = try take(from: all)
    return fit.map { taken.fitted(to: $0) } ?? taken
  }

  /// Whether images loaded without an encoder, or for another one, can be used for this one without loading them again.
  package func serves(_ images: ImageSet, for fit: ImageFit) -> Bool {
    if case .shapes(_, nil, _, _) = source {
      return images.size == fit.size && images.channels == fit.channels
    }
    return images.isFitted(to: fit)
  }

  /// Reads the images up to ``end``.
  private func read(_ role: DataRole, _ fit: ImageFit) throws(DatasetError) -> ImageSet {
    switch source {
    case .graph, .blocks, .rows, .regression: throw .otherInput(own: "\(noun)s", encoder: "images")
    case .cifar10(let directory, let classes):
      return try CIFAR10.read(directory: directory, role: role, classes: classes, limit: end)
    case .cifar100(let directory, let labels):
      return try CIFAR100.read(directory: directory, role: role, labels: labels, limit: end)
    case .stl10(let directory, let split):
      return try STL10.read(
        directory: directory, split: split ?? (role == .train ? .train : .test), limit: end)
    case .idx(let path, let labels): return try IDX.read(path, labels: labels, role: role, limit: end)
    case .npy(let path, let labels): return try NumPyImages.read(array: path, labels: labels, limit: end)
    case .npz(let path, let split, let images, let labels):
      let keys = NumPyImages.Keys(split ?? (role == .train ? .train : .test), images: images, labels: labels)
      return try NumPyImages.read(archive: path, keys, limit: end)
    case .folder(let path, let labels, let cache):
      return try ImageFolder(path, labels: labels, limit: end).images(for: fit, cache: cache)
    case .shapes(let count, let size, let channels, let seed):
      return Shapes.generate(
        count: min(count, end ?? count), size: size ?? fit.size, channels: channels ?? fit.channels,
        seed: seed, role: role)
    }
  }

  private func take(from all: ImageSet) throws(DatasetError) -> ImageSet {
    try order(of: all.count, "images").map { all.subset($0) } ?? all
  }

  /// Returns the indices of the examples taken from those read; nil for all of them.
  private func order(of count: Int, _ noun: String) throws(DatasetError) -> [Int]? {
    guard skip < count else {
      throw .badSpecification(description, problem: "skip=\(skip) leaves none of \(count) \(noun)")
    }
    guard skip > 0 || shuffle != nil else { return nil }
    var order = Array(0..<count)
    if let shuffle {
      var random = RandomNumbers(shuffle, "data order", count)
      order.shuffle(using: &random)
    }
    return Array(order.dropFirst(skip).prefix(limit ?? Int.max))
  }

  /// The number of examples to read: up to the last one taken, or all if they are shuffled.
  private var end: Int? {
    // The sum may overflow; a limit of `Int.max` reads all examples.
    shuffle == nil ? limit.map { $0 > Int.max - skip ? Int.max : skip + $0 } : nil
  }

  /// Reads or generates rows of numbers. Throws a ``DatasetError`` that names the file.
  func rows(role: DataRole) throws(DatasetError) -> FeatureRows {
    let all: FeatureRows
    switch source {
    case .rows(let path, let options): all = try FeatureRows.read(path, options, role: role, limit: end)
    case .regression(let count, let settings): all = settings.rows(min(count, end ?? count), role: role)
    default: throw .otherInput(own: "\(noun)s", encoder: "rows")
    }
    return try order(of: all.count, "rows").map { all.subset($0) } ?? all
  }
}

/// The parts of a specification `KIND:ARGUMENT[?option=value&…]`. Options are removed as they are read; options that
/// remain at the end are unknown. In a file's name, `??` stands for `?` and `&&` for `&`.
struct SpecificationOptions {
  let text: String
  let kind: String
  let argument: String
  private var values: [String: String] = [:]
  /// The options requested so far, which are the known ones.
  private var known: [String] = []

  init(parsing text: String) throws(DatasetError) {
    self.text = text
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
      throw .badSpecification(text, problem: "not of the form KIND:ARGUMENT")
    }
    kind = String(text[..<colon])
    let rest = text[text.utf8.index(after: colon)...]
    let (first, options) = Self.cut(rest.utf8, at: UInt8(ascii: "?"))
    argument = first
    guard !argument.isEmpty else { throw .badSpecification(text, problem: "nothing after '\(kind):'") }
    var left = options
    while let given = left {
      let option: String
      (option, left) = Self.cut(given, at: UInt8(ascii: "&"))
      guard let sign = option.utf8.firstIndex(of: UInt8(ascii: "=")) else {
        let hint = option.contains("/") ? ", and a ? in a file's name is written ??" : ""
        throw .badSpecification(text, problem: "option '\(option)' is not of the form name=value\(hint)")
      }
      let name = String(option[..<sign])
      guard values.updateValue(String(option[option.utf8.index(after: sign)...]), forKey: name) == nil else {
        throw .badSpecification(text, problem: "option '\(name)' is given twice")
      }
    }
  }

  /// Splits a text at the first mark that is not doubled and makes doubled marks single; the second part is nil if
  /// there is no such mark. It compares bytes, because in Swift a combining mark that follows would join the mark's
  /// character.
  private static func cut(_ text: Substring.UTF8View, at mark: UInt8) -> (String, Substring.UTF8View?) {
    var (first, rest): ([UInt8], Substring.UTF8View) = ([], text)
    while let byte = rest.popFirst() {
      if byte == mark {
        guard rest.first == mark else { return (String(decoding: first, as: UTF8.self), rest) }
        rest.removeFirst()
      }
      first.append(byte)
    }
    return (String(decoding: first, as: UTF8.self), nil)
  }

  /// Returns the option's text, which must not be empty; nil if the option is absent.
  mutating func text(_ name: String) throws(DatasetError) -> String? {
    known.append(name)
    guard let value = values.removeValue(forKey: name) else { return nil }
    guard !value.isEmpty else { throw .badSpecification(text, problem: "nothing after '\(name)='") }
    return value
  }

  /// Returns the option's value from a set of words; nil if the option is absent.
  mutating func word<Word: RawRepresentable & CaseIterable>(
    _ name: String, _ type: Word.Type = Word.self
  ) throws(DatasetError) -> Word? where Word.RawValue == String {
    guard let value = try text(name) else { return nil }
    if let word = Word(rawValue: value) { return word }
    let words = Word.allCases.map(\.rawValue)
    throw .badSpecification(
      text,
      problem: "\(name) '\(value)' is not one of \(words.joined(separator: ", "))\(Self.hint(value, words))")
  }

  /// Returns the option's amount of memory in bytes, such as 64MB; nil if the option is absent.
  mutating func bytes(_ name: String) throws(DatasetError) -> Int? {
    guard let value = try text(name) else { return nil }
    guard let count = ByteCount(value) else {
      throw .badSpecification(
        text, problem: "\(name) '\(value)' is not a whole number and B, KB, MB, GB, KiB, MiB or GiB")
    }
    return count.bytes
  }

  /// Returns the option's number, which must be in `range` and not `excluded`; nil if the option is absent.
  mutating func take(
    _ name: String, in range: ClosedRange<Int>, except excluded: Int? = nil
  ) throws(DatasetError) -> Int? {
    guard let value = try text(name) else { return nil }
    return try number(value, named: name, in: range, except: excluded)
  }

  /// Returns the option's decimal number, which must be in `range`; nil if the option is absent.
  mutating func take(_ name: String, in range: ClosedRange<Double>) throws(DatasetError) -> Double? {
    guard let value = try text(name) else { return nil }
    guard let number = Double(value), range.contains(number) else {
      throw .badSpecification(
        text, problem: "\(name) '\(value)' is not a number of \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func number(
    _ value: String, named name: String, in range: ClosedRange<Int>, except excluded: Int? = nil
  ) throws(DatasetError) -> Int {
    guard let number = Int(value), range.contains(number), number != excluded else {
      let upper = range.upperBound == Int.max ? "or more" : "to \(range.upperBound)"
      let exception = excluded.map { " except \($0)" } ?? ""
      throw .badSpecification(
        text,
        problem: "\(name) '\(value)' is not a whole number, \(range.lowerBound) \(upper)\(exception)")
    }
    return number
  }

  /// Throws if an option was not read.
  func requireEmpty() throws(DatasetError) {
    guard let name = values.keys.min() else { return }
    throw .badSpecification(
      text,
      problem: "unknown option '\(Spelling.shortened(name))' for kind '\(kind)', which has "
        + known.sorted().joined(separator: ", ") + Self.hint(name, known))
  }

  /// Returns the error for a kind that is not in `kinds`.
  func rejectKind(_ kinds: [String]) -> DatasetError {
    .badSpecification(text, problem: "unknown kind '\(Spelling.shortened(kind))'\(Self.hint(kind, kinds))")
  }

  private static func hint(_ word: String, _ words: [String]) -> String {
    Spelling.nearest(to: word, among: words).map { "; did you mean \($0)?" } ?? ""
  }
}
