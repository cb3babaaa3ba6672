import Engine
import Support

/// A summary of a set of images. The names are those of `fedclient check --json`.
package struct DataReport: Sendable, Codable {
  /// The minimum, median and maximum of a list of numbers.
  package struct Spread: Sendable, Codable, Hashable {
    /// All are 0 for an empty list.
    package let min, median, max: Int

    init(_ numbers: [Int]) {
      let sorted = numbers.sorted()
      min = sorted.first ?? 0
      median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
      max = sorted.last ?? 0
    }
  }

  /// The number of images of a class.
  package struct Class: Sendable, Codable, Hashable {
    /// The name of the folder, or the number of the class.
    package let name: String
    /// The number of images.
    package let count: Int
  }

  /// A file that is skipped, and the reason.
  package struct Broken: Sendable, Codable, Hashable {
    /// Each is one line.
    package let path, reason: String
  }

  /// The number of readable images.
  package let images: Int
  /// The number of images with one channel; the others have three, or CMYK's four.
  package let grey: Int
  /// The number of CMYK images, which have no known profile; they count as colour.
  package let cmyk: Int
  /// The original sides in pixels.
  package let height, width: Spread
  /// The classes in order; empty for unlabelled images.
  package let classes: [Class]
  /// The reason why existing labels were not used; nil if they were used or there are none.
  package let labelProblem: String?
  /// What is odd in the labels, a sentence each.
  package let labelWarnings: [String]
  /// The skipped files, ordered by path.
  package let broken: [Broken]
  /// The files whose names are not those of images, by extension, the most frequent first.
  package let passedOver: [PassedOver.Ending]

  /// Reads every image once. `each` is called after each image read from a file, on any thread.
  package init(_ set: ImageSet, _ workers: Workers, each: @Sendable () -> Void = {}) {
    let set = set.readable(workers, each: each)
    broken = set.broken.map { Broken(path: Spelling.harmless($0.path), reason: Spelling.harmless($0.reason)) }
    let shapes = (0..<set.count).map { set.foundShape(of: $0) }
    images = set.count
    grey = shapes.count { $0.channels == 1 }
    cmyk = shapes.count { $0.channels == 4 }
    labelProblem = set.labelProblem.map(Spelling.harmless)
    passedOver = set.passedOver.endings
    labelWarnings = LabelSense.warnings(of: .images(set))
    (height, width) = (Spread(shapes.map(\.height)), Spread(shapes.map(\.width)))
    var counts = [Int](repeating: 0, count: set.classes)
    for label in set.labels ?? [] { counts[label] += 1 }
    classes = counts.enumerated().map { index, count in
      Class(name: set.classNames.map { Spelling.harmless($0[index]) } ?? "\(index)", count: count)
    }
  }
}
