import Datasets
import Engine
import Support
import Yams

/// How a value of one type stands in a plan's file: what it is called, how it is read and written.
struct PlanValue<Value: Sendable>: Sendable {
  /// As docs/plans.md calls it.
  let type: String
  let read: @Sendable (Node) throws(PlanRejection) -> Value
  let write: @Sendable (Value) -> String
}

extension PlanValue {
  /// A value read from the text of a scalar; nil means that the text is something else.
  static func scalar(
    _ type: String, quoted: Bool = false, write: @escaping @Sendable (Value) -> String = { "\($0)" },
    read: @escaping @Sendable (String) throws(PlanRejection) -> Value?
  ) -> Self {
    PlanValue(
      type: type,
      read: { node throws(PlanRejection) in
        let text = try node.text(for: type, quoted: quoted)
        guard let value = try read(text) else {
          throw PlanRejection("is \(PlanRejection.shown(text)); must be: \(type)")
        }
        return value
      },
      write: write)
  }
}

extension PlanValue where Value == Int {
  static func integer(_ range: ClosedRange<Int>) -> Self {
    scalar("integer \(range.lowerBound) … \(range.upperBound)") { text throws(PlanRejection) in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
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
    scalar("text of 1 … \(limit) characters", quoted: true, write: { $0.yamlQuoted }) {
      text throws(PlanRejection) in
      guard !text.contains(where: { $0.isControl }) else {
        throw PlanRejection("is \(PlanRejection.shown(text)); control characters have no place in it")
      }
      return (1...limit).contains(text.count) ? text : nil
    }
  }
}

extension PlanValue where Value == String {
  /// A data SPEC, which is understood but not opened: that is for whoever has the images.
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
            throw PlanRejection("is no data: \(error)")
          }
          throw PlanRejection("is \(PlanRejection.shown(spec)): \(problem); accepted: \(DataSpec.accepted)")
        }
        return spec
      },
      write: text.write)
  }
}

extension PlanValue where Value == String? {
  /// A file's path, or the word for nil.
  static var file: Self {
    let path = PlanValue<String>.text(upTo: PlanLimits.text)
    return PlanValue(
      type: "none, or a path: \(path.type)",
      read: { node throws(PlanRejection) in
        let text = try path.read(node)
        return text == "none" ? nil : text
      },
      write: { $0.map(path.write) ?? "none" })
  }
}

extension PlanValue where Value == TimeSpan {
  static func duration(upTo limit: TimeSpan) -> Self {
    scalar("duration 1ms … \(limit)") { text throws(PlanRejection) in
      let span = try TimeSpan(text)
      return span.milliseconds > 0 && span <= limit ? span : nil
    }
  }
}

extension PlanValue where Value: CaseIterable & RawRepresentable<String> {
  /// One of the words that this version knows.
  static var choice: Self {
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
      read: { text throws(PlanRejection) in
        if text == "auto" { return .some(nil) }
        guard let kernel = Int(text), (1...limit).contains(kernel), kernel % 2 == 1 else { return nil }
        return kernel
      })
  }
}

extension PlanValue where Value == Int? {
  /// A number of images, or the word for nil.
  static func claim(upTo limit: Int) -> Self {
    scalar(
      "auto, or integer 1 … \(limit)", quoted: true, write: { $0.map(String.init) ?? "auto" },
      read: { text throws(PlanRejection) in
        if text == "auto" { return .some(nil) }
        guard let count = Int(text), (1...limit).contains(count) else { return nil }
        return count
      })
  }
}

extension PlanValue where Value == ByteCount? {
  static var memory: Self {
    scalar(
      "unlimited, or an amount such as 256MB or 1GiB", write: { $0.map(\.description) ?? "unlimited" },
      read: { text throws(PlanRejection) in
        if text == "unlimited" { return .some(nil) }
        guard let count = ByteCount(text) else { return nil }
        return count
      })
  }
}

extension PlanValue where Value == Plan.Calibration.Interval {
  static func interval(upTo limit: Int) -> Self {
    scalar("round, stage, or integer 1 … \(limit)", quoted: true) { text throws(PlanRejection) in
      guard let interval = Value(text) else { return nil }
      if case .rounds(let count) = interval, count > limit { return nil }
      return interval
    }
  }
}
