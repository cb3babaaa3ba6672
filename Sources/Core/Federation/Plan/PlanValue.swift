import Datasets
import Engine
import Support
import Yams

/// The representation of a type in a plan's file: its description, reading, writing, and the check of a value.
package struct PlanValue<Value: Sendable>: Sendable {
  /// The description in docs/plans.md.
  let type: String
  /// Parses and checks a node.
  let read: @Sendable (Node) throws(PlanRejection) -> Value
  let write: @Sendable (Value) -> String
  /// Returns whether a value is within the limits of the field, wherever it comes from.
  let accepts: @Sendable (Value) -> Bool

  init(
    type: String, read: @escaping @Sendable (Node) throws(PlanRejection) -> Value,
    write: @escaping @Sendable (Value) -> String, accepts: @escaping @Sendable (Value) -> Bool
  ) {
    (self.type, self.read, self.write, self.accepts) = (type, read, write, accepts)
  }

  /// Returns the problem of a value; nil if it is accepted.
  func problem(_ value: Value) -> String? {
    accepts(value) ? nil : "is \(PlanRejection.shown(write(value))); must be: \(type)"
  }
}

extension PlanValue {
  /// Creates a value that is the text of a scalar; `parse` returns nil for invalid text, and `accepts` whether a value
  /// is within the limits.
  static func scalar(
    _ type: String, quoted: Bool = false, write: @escaping @Sendable (Value) -> String = { "\($0)" },
    accepts: @escaping @Sendable (Value) -> Bool = { _ in true },
    parse: @escaping @Sendable (String) throws(PlanRejection) -> Value?
  ) -> Self {
    PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        let text = try node.text(for: type, quoted: quoted)
        guard let value = try parse(text), accepts(value) else {
          throw PlanRejection("is \(PlanRejection.shown(text)); must be: \(type)")
        }
        return value
      },
      write: write, accepts: accepts)
  }
}

extension PlanValue where Value == Int {
  package static func integer(_ range: ClosedRange<Int>) -> Self {
    scalar("integer \(range.lowerBound) … \(range.upperBound)", accepts: range.contains) {
      text throws(PlanRejection) in Int(text)
    }
  }
}

extension PlanValue where Value == UInt64 {
  static var seed: Self {
    scalar("integer 0 … \(UInt64.max)") { text throws(PlanRejection) in UInt64(text) }
  }
}

extension PlanValue where Value == Bool {
  static var flag: Self {
    scalar("true or false") { text throws(PlanRejection) in Bool(text) }
  }
}

extension PlanValue where Value == String {
  static func text(upTo limit: Int) -> Self {
    scalar(
      "text of 1 … \(limit) characters", quoted: true, write: { $0.yamlQuoted },
      accepts: { (1...limit).contains($0.count) && !$0.contains { $0.isControl } }
    ) { text throws(PlanRejection) in
      guard !text.contains(where: { $0.isControl }) else {
        throw PlanRejection("is \(PlanRejection.shown(text)); must not contain control characters")
      }
      return text
    }
  }
}

extension PlanValue where Value == String {
  /// A data SPEC, which is parsed but not opened, because another host may have the data.
  static var dataSpec: Self {
    let text = text(upTo: PlanLimits.text)
    return PlanValue(
      type: text.type,
      read: { node throws(PlanRejection) in
        let spec = try text.read(node)
        do throws(DatasetError) {
          _ = try DataSpec(parsing: spec)
        } catch {
          guard case .badSpecification(_, let problem) = error else {
            throw PlanRejection("is not a data SPEC: \(error)")
          }
          throw PlanRejection("is \(PlanRejection.shown(spec)): \(problem); accepted: \(DataSpec.accepted)")
        }
        return spec
      },
      write: text.write, accepts: { text.accepts($0) && (try? DataSpec(parsing: $0)) != nil })
  }
}

extension PlanValue where Value == String? {
  /// The path of a file, or the word for nil.
  static var file: Self {
    let path = PlanValue<String>.text(upTo: PlanLimits.text)
    return PlanValue(
      type: "none, or a path: \(path.type)",
      read: { node throws(PlanRejection) in
        let text = try path.read(node)
        return text == "none" ? nil : text
      },
      write: { $0.map(path.write) ?? "none" }, accepts: { $0.map(path.accepts) ?? true })
  }
}

extension PlanValue where Value == TimeSpan {
  static func duration(upTo limit: TimeSpan) -> Self {
    scalar("duration 1ms … \(limit)", accepts: { $0.milliseconds > 0 && $0 <= limit }) {
      text throws(PlanRejection) in try TimeSpan(text)
    }
  }
}

extension PlanValue where Value: CaseIterable & RawRepresentable<String> {
  /// One of the words of a type.
  package static var choice: Self {
    let words = Value.allCases.map(\.rawValue)
    let known = words.joined(separator: ", ")
    let type = words.count == 1 ? "only \(known)" : "one of \(known)"
    return scalar(type, quoted: true, write: \.rawValue) { text throws(PlanRejection) in
      guard let value = Value(rawValue: text) else {
        throw PlanRejection("is \(PlanRejection.shown(text)); this version knows \(known)")
      }
      return value
    }
  }
}

extension PlanValue where Value == Int? {
  /// An odd number of pixels, or the word for nil.
  static func kernel(upTo limit: Int) -> Self {
    scalar(
      "auto, or odd integer 1 … \(limit)", quoted: true, write: { $0.map(String.init) ?? "auto" },
      accepts: { $0.map { (1...limit).contains($0) && $0 % 2 == 1 } ?? true },
      parse: { text throws(PlanRejection) in text == "auto" ? .some(nil) : Int(text).map { .some($0) } })
  }
}

extension PlanValue where Value == Int? {
  /// A number of images, or the word for nil.
  static func claim(upTo limit: Int) -> Self {
    scalar(
      "auto, or integer 1 … \(limit)", quoted: true, write: { $0.map(String.init) ?? "auto" },
      accepts: { $0.map((1...limit).contains) ?? true },
      parse: { text throws(PlanRejection) in text == "auto" ? .some(nil) : Int(text).map { .some($0) } })
  }
}

extension PlanValue where Value == ByteCount? {
  static var memory: Self {
    scalar(
      "unlimited, or an amount such as 256MB or 1GiB", write: { $0.map(\.description) ?? "unlimited" },
      parse: { text throws(PlanRejection) in
        if text == "unlimited" { return .some(nil) }
        guard let count = ByteCount(text) else { return nil }
        return count
      })
  }
}

extension PlanValue where Value == Plan.Calibration.Interval {
  static func interval(upTo limit: Int) -> Self {
    scalar(
      "round, stage, or integer 1 … \(limit)", quoted: true,
      accepts: { if case .rounds(let count) = $0 { (1...limit).contains(count) } else { true } }
    ) { text throws(PlanRejection) in Value(text) }
  }
}

extension Node {
  /// The description of a node's type in messages.
  var kind: String {
    switch self {
    case .scalar(let scalar): scalar.isNull ? "empty" : PlanRejection.shown(scalar.string)
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .alias: "an alias"
    }
  }

  /// Returns the text of a scalar. Numbers and similar types must not be quoted, because quoted scalars are text.
  func text(for type: String, quoted: Bool) throws(PlanRejection) -> String {
    guard case .scalar(let scalar) = self, !scalar.isNull else {
      throw PlanRejection("is \(kind); must be: \(type)")
    }
    guard quoted || scalar.style == .plain else {
      throw PlanRejection("is text, in quotes; must be: \(type)")
    }
    return scalar.string
  }
}

extension Node.Scalar {
  /// Whether the scalar is one of YAML's null values.
  var isNull: Bool { style == .plain && ["", "~", "null", "Null", "NULL"].contains(string) }
}

extension String {
  /// The text in double quotes, with the escapes that YAML shares with JSON.
  var yamlQuoted: String {
    var text = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      // Besides control characters, YAML treats these three as line ends and marks.
      case _ where scalar.properties.generalCategory == .control, "\u{2028}", "\u{2029}", "\u{FEFF}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}

extension Float {
  /// The shortest decimal that parses to the same value, without ".0".
  var yaml: String {
    self == rounded() && magnitude < 1e6 ? "\(Int(self))" : "\(self)"
  }
}

/// The range of real numbers of a field.
package struct PlanBounds: Sendable, CustomStringConvertible {
  let lower: Float
  let upper: Float
  /// Whether the range excludes `lower`, for example for divisors.
  var isOpen = false

  package static func from(_ lower: Float, to upper: Float) -> Self { PlanBounds(lower: lower, upper: upper) }
  package static func above(_ lower: Float, to upper: Float) -> Self {
    PlanBounds(lower: lower, upper: upper, isOpen: true)
  }

  func contains(_ value: Float) -> Bool {
    (isOpen ? value > lower : value >= lower) && value <= upper
  }

  package var description: String {
    isOpen ? "above \(lower.yaml), up to \(upper.yaml)" : "\(lower.yaml) … \(upper.yaml)"
  }
}

extension PlanValue where Value == Float {
  package static func number(_ bounds: PlanBounds) -> Self {
    scalar("number \(bounds)", write: \.yaml, accepts: bounds.contains) { text throws(PlanRejection) in
      // Only decimal notation: Swift's parser also accepts "nan" and hexadecimal numbers.
      text.allSatisfy { "+-.eE0123456789".contains($0) } ? Float(text) : nil
    }
  }
}

extension PlanValue where Value == [Float] {
  /// A list of numbers; `what` describes its entries.
  static func numbers(_ count: ClosedRange<Int>, _ what: String, _ bounds: PlanBounds) -> Self {
    list(count, of: .number(bounds), "list of numbers \(bounds), \(what)")
  }
}

extension PlanValue where Value == ClosedRange<Float> {
  /// A list of the minimum and the maximum.
  static func range(_ bounds: PlanBounds) -> Self {
    let type = "list [least, greatest] of numbers \(bounds)"
    let ends = PlanValue<[Float]>.list(2...2, of: .number(bounds), type)
    return PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        let pair = try ends.read(node)
        guard pair[0] <= pair[1] else {
          throw PlanRejection("is \(ends.write(pair)); the least must come first")
        }
        return pair[0]...pair[1]
      },
      write: { ends.write([$0.lowerBound, $0.upperBound]) },
      accepts: { ends.accepts([$0.lowerBound, $0.upperBound]) })
  }
}

extension PlanValue where Value == Plan.Method.Rounds {
  /// A number or a list. A rule of the whole plan checks the length of the list.
  static func rounds(upTo limit: Int) -> Self {
    let each = PlanValue<Int>.integer(1...limit)
    let type = "\(each.type), or a list of them, one a stage"
    let list = PlanValue<[Int]>.list(1...PlanLimits.depth, of: each, type)
    return PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        if case .sequence = node { return .list(try list.read(node)) }
        return .each(try each.read(node))
      },
      write: { rounds in
        switch rounds {
        case .each(let count): each.write(count)
        case .list(let counts): list.write(counts)
        }
      },
      accepts: { rounds in
        switch rounds {
        case .each(let count): each.accepts(count)
        case .list(let counts): list.accepts(counts)
        }
      })
  }
}

extension PlanValue {
  /// A list of values of type `element`.
  static func list<Element>(
    _ count: ClosedRange<Int>, of element: PlanValue<Element>, _ type: String
  ) -> Self where Value == [Element] {
    PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        guard case .sequence(let entries) = node else {
          throw PlanRejection("is \(node.kind); must be: \(type)")
        }
        guard count.contains(entries.count) else {
          throw PlanRejection("has \(entries.count) entries; must be: \(type)")
        }
        var values: [Element] = []
        for (index, entry) in entries.enumerated() {
          do throws(PlanRejection) {
            values.append(try element.read(entry))
          } catch {
            throw PlanRejection("entry \(index + 1) \(error.reason)")
          }
        }
        return values
      },
      write: { "[\($0.map(element.write).joined(separator: ", "))]" },
      accepts: { count.contains($0.count) && $0.allSatisfy(element.accepts) })
  }
}

extension PlanValue where Value == ClassList {
  /// A number, or a list of different names.
  static func classes(upTo limit: Int) -> Self {
    let count = PlanValue<Int>.integer(2...limit)
    let type = "\(count.type), or a list of different names"
    let list = PlanValue<[String]>.list(2...limit, of: .text(upTo: PlanLimits.name), type)
    return PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        guard case .sequence = node else { return .count(try count.read(node)) }
        let names = try list.read(node)
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
          throw PlanRejection("has \(PlanRejection.shown(name)) twice; must be: \(type)")
        }
        return .names(names)
      },
      write: { classes in
        switch classes {
        case .count(let number): count.write(number)
        case .names(let names): list.write(names)
        }
      },
      accepts: { classes in
        switch classes {
        case .count(let number): count.accepts(number)
        case .names(let names): list.accepts(names) && Set(names).count == names.count
        }
      })
  }
}
