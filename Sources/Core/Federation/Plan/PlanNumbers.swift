import Yams

/// The real numbers that a field takes.
struct PlanBounds: Sendable, CustomStringConvertible {
  let lower: Float
  let upper: Float
  /// Whether `lower` itself is left out, as for what is divided by.
  var isOpen = false

  static func from(_ lower: Float, to upper: Float) -> Self { PlanBounds(lower: lower, upper: upper) }
  static func above(_ lower: Float, to upper: Float) -> Self {
    PlanBounds(lower: lower, upper: upper, isOpen: true)
  }

  func contains(_ value: Float) -> Bool {
    (isOpen ? value > lower : value >= lower) && value <= upper
  }

  var description: String {
    isOpen ? "above \(lower.yaml), up to \(upper.yaml)" : "\(lower.yaml) … \(upper.yaml)"
  }
}

extension PlanValue where Value == Float {
  static func number(_ bounds: PlanBounds) -> Self {
    scalar("number \(bounds)", write: \.yaml) { text throws(PlanRejection) in
      // Only decimal notation: Swift's own reading would also take "nan" and hexadecimal.
      guard text.allSatisfy({ "+-.eE0123456789".contains($0) }), let value = Float(text) else { return nil }
      return bounds.contains(value) ? value : nil
    }
  }
}

extension PlanValue where Value == [Float] {
  /// A list; `what` says what its entries stand for.
  static func numbers(_ count: ClosedRange<Int>, _ what: String, _ bounds: PlanBounds) -> Self {
    list(count, of: .number(bounds), "list of numbers \(bounds), \(what)")
  }
}

extension PlanValue where Value == ClosedRange<Float> {
  /// A list of the smallest and the greatest value.
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
      write: { ends.write([$0.lowerBound, $0.upperBound]) })
  }
}

extension PlanValue where Value == Plan.Method.Rounds {
  /// A number or a list. How long the list must be is a question of the whole plan.
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
      })
  }
}

extension PlanValue {
  /// A list whose entries are `element`s.
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
      write: { "[\($0.map(element.write).joined(separator: ", "))]" })
  }
}
