import Engine
import Support

/// What is in a set of images, counted. The names are those of `fedclient check --json`.
package struct DataReport: Sendable, Codable {
  /// The least, the middle and the most of some numbers.
  package struct Spread: Sendable, Codable, Hashable {
    /// All 0 for no numbers.
    package let min, median, max: Int

    init(_ numbers: [Int]) {
      let sorted = numbers.sorted()
      min = sorted.first ?? 0
      median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
      max = sorted.last ?? 0
    }
  }

  /// How many images a class has.
  package struct Class: Sendable, Codable, Hashable {
    /// The folder's name, or the class's number.
    package let name: String
    /// Images.
    package let count: Int
  }

  /// A file that is left out, and why.
  package struct Broken: Sendable, Codable, Hashable {
    /// Each one line.
    package let path, reason: String
  }

  /// Those that can be used.
  package let images: Int
  /// How many of them have one channel; the others have three, or CMYK's four.
  package let grey: Int
  /// How many are CMYK, of whose profile nothing is known; they count as colour.
  package let cmyk: Int
  /// In pixels, as the images were found.
  package let height, width: Spread
  /// In their order; empty for unlabelled images.
  package let classes: [Class]
  /// Why labels that are there were not taken; nil where they were, and where there are none.
  package let labelProblem: String?
  /// What is left out, in the order of the paths.
  package let broken: [Broken]
  /// Files that are not called as images are, by how their names end, the most frequent first.
  package let passedOver: [PassedOver.Ending]

  /// Reads every image once; `each` is called after one that takes a file to be read, on any thread.
  package init(_ set: ImageSet, _ workers: Workers, each: @Sendable () -> Void = {}) {
    let set = set.readable(workers, each: each)
    broken = set.broken.map { Broken(path: Spelling.harmless($0.path), reason: Spelling.harmless($0.reason)) }
    let shapes = (0..<set.count).map { set.foundShape(of: $0) }
    images = set.count
    grey = shapes.count { $0.channels == 1 }
    cmyk = shapes.count { $0.channels == 4 }
    labelProblem = set.labelProblem.map(Spelling.harmless)
    passedOver = set.passedOver.endings
    (height, width) = (Spread(shapes.map(\.height)), Spread(shapes.map(\.width)))
    var counts = [Int](repeating: 0, count: set.classes)
    for label in set.labels ?? [] { counts[label] += 1 }
    classes = counts.enumerated().map { index, count in
      Class(name: set.classNames.map { Spelling.harmless($0[index]) } ?? "\(index)", count: count)
    }
  }
}
