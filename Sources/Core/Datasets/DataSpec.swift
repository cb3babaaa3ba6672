import Engine
import Foundation

/// Which half of a data set is meant.
package enum DataRole: Sendable, Hashable {
  /// What encoders are trained on, and probes fitted to.
  case train
  /// What is held back for evaluation.
  case test
}

/// Where images come from, as a user writes it: `KIND:ARGUMENT[?option=value&…]` (docs/data.md). A `?` in the argument
/// is written twice, and so is a `&` in a value.
///
/// A new kind of data joins in ``Source``, in ``DataSpec/kinds`` and in `load`, and brings a reader in a file of its
/// own.
package struct DataSpec: Sendable, Hashable, CustomStringConvertible {
  /// The kinds of data.
  package enum Source: Sendable, Hashable {
    /// CIFAR-10's binary files in a directory, or such with another number of classes.
    case cifar10(directory: String, classes: Int = 10)
    /// CIFAR-100's.
    case cifar100(directory: String, labels: CIFAR100.Labels)
    /// STL-10's; a nil split is the role's.
    case stl10(directory: String, split: STL10.Split?)
    /// A file of images and one of labels, or a directory of both, as MNIST's.
    case idx(path: String, labels: String?)
    /// An array in a file, and one of labels.
    case npy(path: String, labels: String?)
    /// Arrays in an archive; nil keys are those of MedMNIST's split, and a nil split is the role's.
    case npz(path: String, split: NumPyImages.Split?, images: String?, labels: String?)
    /// A folder of JPEG and PNG files; `cache` bounds the memory for decoded ones, in bytes.
    case folder(path: String, labels: ImageFolder.Labels?, cache: Int)
    /// The built-in generator; nil sizes and channels are the encoder's.
    case shapes(count: Int, size: Int?, channels: Int?, seed: UInt64)
  }

  /// The kind of data, with its argument and options.
  package let source: Source
  /// The images are drawn into an order of this seed before any are passed over.
  package let shuffle: UInt64?
  /// The first so many images are passed over: they are somebody else's.
  package let skip: Int
  /// Only the next so many are taken.
  package let limit: Int?
  /// As it was written.
  package let description: String

  /// The kinds, and what they are followed by.
  private static let kinds = [
    ("cifar10", "DIRECTORY"), ("cifar100", "DIRECTORY"), ("stl10", "DIRECTORY"), ("idx", "PATH"),
    ("npy", "FILE"), ("npz", "FILE"), ("folder", "DIRECTORY"), ("shapes", "COUNT"),
  ]

  /// What a specification may look like, for messages and help texts.
  package static let accepted =
    kinds.map { "\($0):\($1)" }.joined(separator: ", ") + ", each with ?option=value&… (docs/data.md)"

  /// Understands a specification, or throws ``DatasetError/badSpecification(_:problem:)``.
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
    default: throw options.rejectKind(Self.kinds.map(\.0))
    }
    shuffle = try options.take("shuffle", in: 0...Int.max).map { UInt64($0) }
    skip = try options.take("skip", in: 0...Int.max) ?? 0
    limit = try options.take("limit", in: 1...Int.max)
    try options.requireEmpty()
    description = text
  }

  /// Room for decoded images of a folder, unless it is given: 3600 photographs for an encoder of 32 pixels.
  private static let cache = 64_000_000
}

extension DataSpec {
  /// Reads or generates the images, or opens their folder, and fits them to an encoder. Without one, images in memory
  /// stay as they are; what must have a size is 3 x 32 x 32.
  ///
  /// Throws a ``DatasetError`` that names the file; `strict` reads all files of a folder, and rejects them all where
  /// one is broken.
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

  /// Whether images that were loaded without an encoder, or for another one, need not be loaded again for this one.
  package func serves(_ images: ImageSet, for fit: ImageFit) -> Bool {
    if case .shapes(_, nil, _, _) = source {
      return images.size == fit.size && images.channels == fit.channels
    }
    return images.isFitted(to: fit)
  }

  /// The images up to the last that is taken, or all where that is not known yet.
  private func read(_ role: DataRole, _ fit: ImageFit) throws(DatasetError) -> ImageSet {
    // Beyond all images there are none.
    let end = shuffle == nil ? limit.map { $0 > Int.max - skip ? Int.max : skip + $0 } : nil
    switch source {
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
    guard skip < all.count else {
      throw .badSpecification(description, problem: "skip=\(skip) leaves none of \(all.count) images")
    }
    guard skip > 0 || shuffle != nil else { return all }
    var order = Array(0..<all.count)
    if let shuffle {
      var random = RandomNumbers(shuffle, "data order", all.count)
      order.shuffle(using: &random)
    }
    return all.subset(Array(order.dropFirst(skip).prefix(limit ?? Int.max)))
  }
}
