import Support

/// Labels that a training cannot learn from, although they are valid.
package enum LabelSense {
  /// The share of the most frequent class from which labels say almost nothing.
  static let largestMajority = 0.99
  /// The most classes that a sentence names.
  private static let named = 3

  /// Returns a sentence for each oddity of a data set: one example, a single class, classes with one example, or a class
  /// with almost all examples.
  package static func warnings(of set: Dataset) -> [String] {
    var counts = [Int](repeating: 0, count: set.classes)
    for label in set.labels ?? [] where label >= 0 { counts[label] += 1 }
    return warnings(
      counts: counts, count: set.count, noun: set.noun,
      names: set.classNames ?? counts.indices.map(String.init))
  }

  /// Returns the sentences for `count` examples, of which each class has some of `counts`.
  package static func warnings(counts: [Int], count: Int, noun: String, names: [String]) -> [String] {
    var sentences = count == 1 ? ["there is one \(noun), which nothing can be compared with"] : []
    let used = counts.indices.filter { counts[$0] > 0 }
    let labelled = counts.reduce(0, +)
    guard labelled > 1, let largest = used.max(by: { counts[$0] < counts[$1] }) else { return sentences }
    func name(_ index: Int) -> String { "'\(Spelling.shortened(names[index]))'" }
    if used.count == 1 {
      sentences.append(
        "all \(labelled) labelled \(noun)s have the class \(name(largest)), so labels say nothing")
      return sentences
    }
    let single = used.filter { counts[$0] == 1 }
    if !single.isEmpty {
      let some = single.prefix(named).map(name).joined(separator: ", ")
      let more = single.count > named ? " and \(single.count - named) more" : ""
      let subject = single.count == 1 ? "the class \(some) has" : "the classes \(some)\(more) have"
      sentences.append("\(subject) one \(noun)\(single.count == 1 ? "" : " each"), too few to learn from")
    }
    let share = Double(counts[largest]) / Double(labelled)
    if share > largestMajority {
      let percent = (share * 1000).rounded(.down) / 10
      sentences.append(
        "the class \(name(largest)) has \(percent) % of the labelled \(noun)s, so that always predicting it looks good"
      )
    }
    return sentences
  }
}
