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

extension ClassList {
  /// Returns the index of each of these classes among those of a job; 0 for one that has no name among them and is not
  /// `used`.
  ///
  /// If both have names, classes are matched by name, so that a folder may lack some of the job's classes. If only one
  /// has names, the numbers are the indices; a number of classes alone fits only data with the same number of named
  /// classes, because the names of a folder that lacks some would be counted from 0.
  ///
  /// Throws ``DatasetError/otherClasses(job:own:)``.
  func indices(in job: ClassList, used: Set<Int>) throws(DatasetError) -> [Int] {
    switch (self, job) {
    case (.names(let own), .names(let names)):
      let places = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
      let matched = own.map { places[$0] }
      // A class without examples may have any name.
      guard own.indices.allSatisfy({ matched[$0] != nil || !used.contains($0) }) else {
        throw .otherClasses(job: job, own: self)
      }
      return matched.map { $0 ?? 0 }
    case (.names, .count):
      guard count == job.count else { throw .otherClasses(job: job, own: self) }
    case (.count, _):
      guard count <= job.count else { throw .otherClasses(job: job, own: self) }
    }
    return Array(0..<count)
  }
}

extension ImageSet {
  /// Returns the images with labels that are indices into the classes of a job. Throws
  /// ``DatasetError/unlabelled(for:problem:)`` or ``DatasetError/otherClasses(job:own:)``.
  package func labelled(by job: ClassList) throws(DatasetError) -> ImageSet {
    guard let labels else { throw .unlabelled(for: "a classification", problem: labelProblem) }
    let own = classNames.map { ClassList.names($0) } ?? .count(classes)
    let indices = try own.indices(in: job, used: Set(labels))
    return relabelled(
      labels.map { indices[$0] }, classes: job.count,
      names: { if case .names(let names) = job { names } else { classNames } }())
  }
}
