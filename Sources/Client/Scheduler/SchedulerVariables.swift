import Datasets

/// Why the environment does not say which of how many clients a process is, in one line.
package struct SchedulerError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}

/// What the schedulers say in the environment, as numbers.
struct SchedulerVariables: Sendable {
  private let values: [String: String]

  init(_ environment: [String: String]) { values = environment }

  func has(_ name: String) -> Bool { values[name] != nil }

  /// The whole number that a variable holds; nil where it is not set.
  func number(_ name: String) throws(SchedulerError) -> Int? {
    guard let text = values[name] else { return nil }
    // No environment has a reason for more, and sums of such numbers do not overflow.
    guard let number = Int(text), (0...Int(Int32.max)).contains(number) else {
      throw SchedulerError("\(name) is '\(Self.shown(text))': it is a whole number of 0 or more")
    }
    return number
  }

  /// The number that another variable makes necessary; `hint` says what it should be.
  func number(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    guard let number = try number(name) else {
      throw SchedulerError("\(other) is set, but \(name) is not\(hint)")
    }
    return number
  }

  /// How many clients a variable says that there are.
  func count(_ name: String, besides other: String, hint: String = "") throws(SchedulerError) -> Int {
    let count = try number(name, besides: other, hint: hint)
    guard Share.counts.contains(count) else {
      throw SchedulerError(
        "\(name) is \(count): there are \(Share.counts.lowerBound) to \(Share.counts.upperBound) clients")
    }
    return count
  }

  /// The share that two variables tell; `mark` is the one that is known to be set.
  func share(
    index: String, count: String, besides mark: String, hint: String = ""
  ) throws(SchedulerError) -> Share {
    let place = try number(index, besides: mark)
    let clients = try self.count(count, besides: mark, hint: hint)
    guard place < clients else {
      throw SchedulerError("\(index) is \(place), but \(count) is \(clients): it counts from 0")
    }
    return Share(place, of: clients)
  }

  /// A value on one line of bearable length, whatever is in it.
  private static func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(40).map { $0.value < 32 ? "?" : $0 }))
  }
}
