/// Which half of a data set is meant.
package enum DataRole: Sendable, Hashable {
  /// What encoders are trained on, and probes fitted to.
  case train
  /// What is held back for evaluation.
  case test
}

/// Where images come from, as a user writes it: `KIND:ARGUMENT[?option=value&…]`.
///
/// A new kind of data joins in ``Source``, in `parse` and in `load`, and brings a reader in a file of its
/// own.
package struct DataSpec: Sendable, Hashable, CustomStringConvertible {
  /// The kinds of data.
  package enum Source: Sendable, Hashable {
    /// CIFAR-10's binary files in a directory.
    case cifar10(directory: String)
    /// The built-in generator; nil sizes and channels are the encoder's.
    case shapes(count: Int, size: Int?, channels: Int?, seed: UInt64)
  }

  /// The kind of data, with its argument and options.
  package let source: Source
  /// The first so many images are passed over: they are somebody else's.
  package let skip: Int
  /// Only the next so many are taken.
  package let limit: Int?
  /// As it was written.
  package let description: String

  /// What a specification may look like, for messages and help texts.
  package static let accepted =
    "cifar10:DIRECTORY, shapes:COUNT[?size=32&channels=3&seed=0], each with skip=N and limit=N"

  /// Understands a specification, or throws ``DatasetError/badSpecification(_:problem:)``.
  package init(parsing text: String) throws(DatasetError) {
    var options = try SpecificationOptions(parsing: text)
    switch options.kind {
    case "cifar10":
      source = .cifar10(directory: options.argument)
    case "shapes":
      let count = try options.number(options.argument, named: "COUNT", in: 1...10_000_000)
      source = .shapes(
        count: count, size: try options.take("size", in: 8...512),
        channels: try options.take("channels", in: 1...3, except: 2),
        seed: UInt64(try options.take("seed", in: 0...Int.max) ?? 0))
    default:
      throw .badSpecification(text, problem: "unknown kind '\(options.kind)'")
    }
    skip = try options.take("skip", in: 0...Int.max) ?? 0
    limit = try options.take("limit", in: 1...Int.max)
    try options.requireEmpty()
    description = text
  }

  /// Reads or generates the images; `size` and `channels` are the encoder's, which a generator takes
  /// where the specification names none (32 and 3 without either).
  ///
  /// Throws a ``DatasetError`` that names the file. Whether the images fit the encoder is for the caller
  /// to ask (``ImageSet/require(size:channels:)``).
  package func load(
    role: DataRole, size: Int? = nil, channels: Int? = nil
  ) throws(DatasetError) -> ImageSet {
    // Beyond all images there are none.
    let end = limit.map { $0 > Int.max - skip ? Int.max : skip + $0 }
    let all: ImageSet
    switch source {
    case .cifar10(let directory): all = try CIFAR10.read(directory: directory, role: role, limit: end)
    case .shapes(let count, let ownSize, let ownChannels, let seed):
      all = Shapes.generate(
        count: min(count, end ?? count), size: ownSize ?? size ?? 32,
        channels: ownChannels ?? channels ?? 3, seed: seed, role: role)
    }
    guard skip > 0 else { return all }
    guard skip < all.count else {
      throw .badSpecification(description, problem: "skip=\(skip) leaves none of \(all.count) images")
    }
    return all.subset(Array(skip..<all.count))
  }
}
