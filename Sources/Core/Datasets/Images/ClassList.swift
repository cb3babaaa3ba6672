import Support

/// The classes of a job: a number, or their names in order.
package enum ClassList: Sendable, Hashable {
  case count(Int)
  case names([String])

  package var count: Int {
    switch self {
    case .count(let count): count
    case .names(let names): names.count
    }
  }

  /// Returns the name of a class, or its number if classes have no names.
  package func name(of label: Int) -> String {
    switch self {
    case .count: "\(label)"
    case .names(let names): names[label]
    }
  }
}

/// A number, or a list of names.
extension ClassList: Codable {
  package init(from decoder: any Swift.Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let count = try? value.decode(Int.self) {
      self = .count(count)
    } else {
      self = .names(try value.decode([String].self))
    }
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .count(let count): try value.encode(count)
    case .names(let names): try value.encode(names)
    }
  }
}

extension ImageSet {
  /// Returns the images with labels that are indices into the classes of a job.
  ///
  /// If both have names, classes are matched by name, so that a folder may lack some of the job's classes. If only one
  /// has names, the numbers are the indices; a number of classes alone fits only images with the same number of named
  /// classes, because the names of a folder that lacks some would be counted from 0.
  ///
  /// Throws ``DatasetError/unlabelled(for:problem:)`` or ``DatasetError/otherClasses(job:own:)``.
  package func labelled(by job: ClassList) throws(DatasetError) -> ImageSet {
    guard let labels else { throw .unlabelled(for: "a classification", problem: labelProblem) }
    let own = classNames.map { ClassList.names($0) } ?? .count(classes)
    let indices: [Int]
    switch (own, job) {
    case (.names(let own), .names(let names)):
      let places = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
      let matched = own.map { places[$0] }
      // A class without images may have any name.
      let used = Set(labels)
      guard own.indices.allSatisfy({ matched[$0] != nil || !used.contains($0) }) else {
        throw .otherClasses(job: job, own: .names(own))
      }
      indices = matched.map { $0 ?? 0 }
    case (.names, .count):
      guard own.count == job.count else { throw .otherClasses(job: job, own: own) }
      indices = Array(0..<own.count)
    case (.count, _):
      guard own.count <= job.count else { throw .otherClasses(job: job, own: own) }
      indices = Array(0..<own.count)
    }
    return relabelled(
      labels.map { indices[$0] }, classes: job.count,
      names: { if case .names(let names) = job { names } else { classNames } }())
  }
}
