import Engine
import Yams

/// One field of a plan's file. The table of them (``PlanField/all``) drives the reading, the writing and
/// the check of docs/plans.md.
package struct PlanField: Sendable {
  /// What holds when the file leaves the field out.
  enum Default: Sendable {
    /// Nothing: it must be there.
    case required
    /// It must be there, but for a ResNet, which has this value.
    case requiredUnlessResNet(@Sendable (inout Plan) -> Void)
    /// What the plan's structs say.
    case standard
    /// What follows from fields further up, in words and as a change of the plan.
    case derived(String, @Sendable (inout Plan) -> Void)
  }

  /// As in `encoder.width`.
  package let path: String
  /// What may stand there.
  package let type: String
  /// What its numbers count; empty for what has no unit.
  package let unit: String
  package let meaning: String
  /// The family of encoders that has it; nil for all.
  let family: EncoderConfiguration.Family?
  let fallback: Default
  let read: @Sendable (Node, inout Plan) throws(PlanRejection) -> Void
  let write: @Sendable (Plan) -> String

  init<Value>(
    _ path: String, _ place: WritableKeyPath<Plan, Value> & Sendable,
    of family: EncoderConfiguration.Family? = nil, _ value: PlanValue<Value>,
    unit: String = "", or fallback: Default = .standard, _ meaning: String
  ) {
    self.path = path
    self.type = value.type
    self.unit = unit
    self.meaning = meaning
    self.family = family
    self.fallback = fallback
    self.read = { node, plan throws(PlanRejection) in plan[keyPath: place] = try value.read(node) }
    self.write = { value.write($0[keyPath: place]) }
  }

  /// Whether a plan has it.
  package func belongs(to plan: Plan) -> Bool { family.map { $0 == plan.encoder.family } ?? true }

  /// `encoder` of `encoder.width`; empty for a field at the top.
  var section: String { path.split(separator: ".").dropLast().joined(separator: ".") }
  /// `width` of `encoder.width`.
  var key: String { path.split(separator: ".").last.map(String.init) ?? path }

  /// The default, as docs/plans.md shows it.
  package var standard: String {
    switch fallback {
    case .required: family.map { "required for \($0.rawValue)" } ?? "required"
    case .requiredUnlessResNet: "required for vit"
    case .standard: "`\(write(.unset))`" + (family.map { " for \($0.rawValue)" } ?? "")
    case .derived(let words, _): words
    }
  }

  /// The section that may be left out altogether, and then means: none.
  static let optionalSection = "method.calibration"
}

extension Plan {
  /// Where reading starts: all defaults, and the paper's encoder in place of what must be given.
  static let unset = Plan(
    encoder: EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3))
}

extension Plan.Method {
  /// The calibration's fields; setting one of them is what makes a calibration.
  var calibrationFields: Plan.Calibration {
    get { calibration ?? Plan.Calibration(data: "") }
    set { calibration = newValue }
  }
}
