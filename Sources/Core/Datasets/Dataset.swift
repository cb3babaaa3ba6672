import Engine
import Support

/// The examples of a data set, of the kind that an encoder takes.
package enum Dataset: Sendable {
  case images(ImageSet)
  case rows(FeatureRows)
  case nodes(NodeSet)

  /// The word for one example.
  package var noun: String {
    switch self {
    case .images: "image"
    case .rows: "row"
    case .nodes: "node"
    }
  }

  /// The number of examples.
  package var count: Int {
    switch self {
    case .images(let images): images.count
    case .rows(let rows): rows.count
    case .nodes(let nodes): nodes.count
    }
  }

  /// The least number of examples that a client can train on: those of a batch, or a row for sums.
  package var least: Int {
    switch self {
    case .images, .nodes: 2
    case .rows: 1
    }
  }

  /// Returns the name of an example: the file of an image, or a number from 0.
  package func name(of index: Int) -> String {
    if case .images(let images) = self { images.name(of: index) } else { "\(index)" }
  }

  /// The class of each example, or ``NodeSet/unlabelled`` for a node without one; nil if no example has one.
  package var labels: [Int]? {
    switch self {
    case .images(let images): images.labels
    case .rows: nil
    case .nodes(let nodes): nodes.classes > 0 ? nodes.labels : nil
    }
  }

  /// The number of classes; 0 for unlabelled examples.
  package var classes: Int {
    switch self {
    case .images(let images): images.classes
    case .rows: 0
    case .nodes(let nodes): nodes.classes
    }
  }

  /// The names of the classes in order; nil if classes have only numbers.
  package var classNames: [String]? {
    switch self {
    case .images(let images): images.classNames
    case .rows: nil
    case .nodes(let nodes): nodes.classNames
    }
  }

  /// The reason why existing labels were not used; nil if they were used or there are none.
  package var labelProblem: String? {
    switch self {
    case .images(let images): images.labelProblem
    case .rows: nil
    case .nodes: nil
    }
  }

  /// The files found broken so far.
  package var broken: [BrokenFile] {
    switch self {
    case .images(let images): images.broken
    case .rows: []
    case .nodes: []
    }
  }

  /// The number of bytes by which the memory of the examples may still grow.
  package var spareBytes: Int {
    switch self {
    case .images(let images): images.spareBytes
    case .rows: 0
    case .nodes: 0
    }
  }

  /// Returns the examples at `indices`, in that order, with their labels. Those of nodes are ascending.
  package func subset(_ indices: [Int]) -> Dataset {
    switch self {
    case .images(let images): .images(images.subset(indices))
    case .rows(let rows): .rows(rows.subset(indices))
    case .nodes(let nodes): .nodes(nodes.subset(indices))
    }
  }

  /// Returns the same examples, fitted to an encoder. Throws ``DatasetError/otherInput(of:noun:encoder:)`` if they are
  /// not of the kind that it takes.
  package func fitted(to input: EncoderInput) throws(DatasetError) -> Dataset {
    switch (self, input) {
    case (.images(let images), .images(let shape)): return .images(images.fitted(to: ImageFit(shape)))
    case (.rows(let rows), .rows(let features)):
      guard rows.inputCount == features else {
        throw .otherInput(
          own: "rows of \(counted(rows.inputCount, "input"))", encoder: "rows of \(features)")
      }
      return self
    case (.nodes(let nodes), .nodes(let features)):
      guard nodes.features.width == features else {
        throw .otherInput(
          own: "nodes of \(counted(nodes.features.width, "feature"))", encoder: "nodes of \(features)")
      }
      return self
    case (.images, _), (.nodes, _), (.rows, _):
      throw .otherInput(own: "\(noun)s", encoder: "\(input.noun)s")
    }
  }

  /// Reads every example once and returns those that can be read.
  package func readable(_ workers: Workers) -> Dataset {
    switch self {
    case .images(let images): .images(images.readable(workers))
    case .rows: self
    case .nodes: self
    }
  }

  /// Throws ``DatasetError/tooFew(count:broken:)`` unless `least` examples can be read. Reads no more than necessary.
  package func requireReadable(_ least: Int) throws(DatasetError) {
    switch self {
    case .images(let images): try images.requireReadable(least)
    // A file without rows cannot be read.
    case .rows: break
    case .nodes(let nodes):
      guard nodes.count >= least else { throw .tooFew(count: nodes.count, broken: []) }
    }
  }

  /// Throws ``DatasetError/differentClasses(train:test:)`` if the named classes of these test examples differ from those
  /// of the training examples.
  package func requireClasses(of other: Dataset) throws(DatasetError) {
    guard let classNames, let names = other.classNames, names != classNames else { return }
    throw .differentClasses(train: names, test: classNames)
  }

  /// Returns the examples with labels that are indices into the classes of a job. Throws
  /// ``DatasetError/unlabelled(for:problem:)`` or ``DatasetError/otherClasses(job:own:)``.
  package func labelled(by job: ClassList) throws(DatasetError) -> Dataset {
    switch self {
    case .images(let images): .images(try images.labelled(by: job))
    case .rows: throw .otherInput(own: "rows without labels", encoder: "classes")
    case .nodes(let nodes): .nodes(try nodes.labelled(by: job))
    }
  }

  /// The images. Throws ``DatasetError/otherInput(own:encoder:)`` for other examples.
  package var images: ImageSet {
    get throws(DatasetError) {
      switch self {
      case .images(let images): return images
      case .rows: throw .otherInput(own: "\(noun)s", encoder: "images")
      case .nodes: throw .otherInput(own: "\(noun)s", encoder: "images")
      }
    }
  }
}

extension Dataset {
  /// The rows. Throws ``DatasetError/otherInput(own:encoder:)`` for other examples.
  package var rows: FeatureRows {
    get throws(DatasetError) {
      guard case .rows(let rows) = self else { throw .otherInput(own: "\(noun)s", encoder: "rows") }
      return rows
    }
  }
}

extension DataSpec {
  /// Reads or generates the examples, or opens their folder, and fits them to an encoder; without an encoder, they
  /// remain as they are. Throws a ``DatasetError`` that names the file, or the kind of input that the encoder takes.
  ///
  /// A graph is the same for both roles; its split says which of its nodes are for which. With `strict`, all files of a
  /// folder are read, and a single broken file is an error.
  package func dataset(
    role: DataRole, for input: EncoderInput? = nil, strict: Bool = false
  ) throws(DatasetError) -> Dataset {
    if let input, input.noun != noun { throw .otherInput(own: "\(noun)s", encoder: "\(input.noun)s") }
    if let others: Dataset = isGraph ? .nodes(try nodes()) : isOfRows ? .rows(try rows(role: role)) : nil {
      return try input.map { input throws(DatasetError) in try others.fitted(to: input) } ?? others
    }
    return .images(try load(role: role, for: input.map { ImageFit($0.images) }, strict: strict))
  }

  /// Reads, generates or opens images for an encoder. Throws a ``DatasetError``, also for an encoder without images.
  package func images(role: DataRole, for encoder: EncoderConfiguration) throws(DatasetError) -> ImageSet {
    try dataset(role: role, for: encoder.input).images
  }

  /// The word for one of its examples.
  package var noun: String { isGraph ? "node" : isOfRows ? "row" : "image" }

  private var isOfRows: Bool {
    switch source {
    case .rows, .regression: true
    default: false
    }
  }

  /// Whether examples loaded without an encoder, or for another one, can be used for this one without loading them
  /// again.
  package func serves(_ examples: Dataset, for input: EncoderInput) -> Bool {
    switch (examples, input) {
    case (.images(let images), .images(let shape)): serves(images, for: ImageFit(shape))
    case (.rows(let rows), .rows(let features)): rows.inputCount == features
    case (.nodes(let nodes), .nodes(let features)): nodes.features.width == features
    case (.images, _), (.nodes, _), (.rows, _): false
    }
  }
}
