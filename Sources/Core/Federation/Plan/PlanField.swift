import Engine
import Yams

/// A field of a plan's file. The table of fields (``PlanField/all``) drives reading, writing and the check of
/// docs/plans.md.
package struct PlanField: Sendable {
  /// The value of a field that the file omits.
  package enum Default: Sendable {
    /// The field is required.
    case required
    /// The field is required except for a ResNet, for which it has this value.
    case requiredUnlessResNet(@Sendable (inout Plan) -> Void)
    /// The default of the plan's structs.
    case standard
    /// A value derived from earlier fields, as a description and a change of the plan.
    case derived(String, @Sendable (inout Plan) -> Void)
  }

  /// The path, such as `encoder.width`.
  package let path: String
  /// A description of the accepted values.
  package let type: String
  /// The unit; empty if there is none.
  package let unit: String
  package let meaning: String
  /// The encoder family to which the field applies; nil for all.
  let family: EncoderConfiguration.Family?
  /// The section of the field if a plan need not have it; nil for a section that all plans have.
  let optionalSection: OptionalSection?
  let fallback: Default
  let read: @Sendable (Node, inout Plan) throws(PlanRejection) -> Void
  let write: @Sendable (Plan) -> String
  /// Returns the problem of the field's value in a plan; nil if it has none.
  let problem: @Sendable (Plan) -> String?

  /// A section that a plan need not have, such as `method.calibration`.
  struct OptionalSection: Sendable {
    /// Returns whether a plan has the section.
    let isPresent: @Sendable (Plan) -> Bool
    /// Adds the section, with the defaults of its fields.
    let create: @Sendable (inout Plan) -> Void
  }

  init<Value>(
    _ path: String, _ place: WritableKeyPath<Plan, Value> & Sendable,
    of family: EncoderConfiguration.Family? = nil, _ value: PlanValue<Value>,
    unit: String = "", or fallback: Default = .standard, _ meaning: String,
    in section: OptionalSection? = nil
  ) {
    self.init(
      path, value, of: family, unit: unit, or: fallback, meaning, in: section,
      get: { $0[keyPath: place] }, set: { $0[keyPath: place] = $1 })
  }

  /// Creates a field whose value a plan reads and writes with two functions.
  init<Value>(
    _ path: String, _ value: PlanValue<Value>, of family: EncoderConfiguration.Family? = nil,
    unit: String = "", or fallback: Default = .standard, _ meaning: String, in section: OptionalSection?,
    get: @escaping @Sendable (Plan) -> Value, set: @escaping @Sendable (inout Plan, Value) -> Void
  ) {
    self.path = path
    self.type = value.type
    self.unit = unit
    self.meaning = meaning
    self.family = family
    self.optionalSection = section
    self.fallback = fallback
    self.read = { node, plan throws(PlanRejection) in set(&plan, try value.read(node)) }
    self.write = { value.write(get($0)) }
    self.problem = { value.problem(get($0)) }
  }

  /// Returns whether the field applies to a plan's encoder.
  package func belongs(to plan: Plan) -> Bool { family.map { $0 == plan.encoder.family } ?? true }

  /// Returns whether a plan has the field: it applies to the encoder, and the plan has its section.
  func isPresent(in plan: Plan) -> Bool {
    belongs(to: plan) && (optionalSection?.isPresent(plan) ?? true)
  }

  /// The section, such as `encoder` of `encoder.width`; empty for a top-level field.
  var section: String { path.split(separator: ".").dropLast().joined(separator: ".") }
  /// The key in the section, such as `width` of `encoder.width`.
  var key: String { path.split(separator: ".").last.map(String.init) ?? path }

  /// The default as shown in docs/plans.md.
  package var standard: String {
    switch fallback {
    case .required: family.map { "required for \($0.rawValue)" } ?? "required"
    case .requiredUnlessResNet: "required for vit"
    case .standard: "`\(write(.unset))`" + (family.map { " for \($0.rawValue)" } ?? "")
    case .derived(let words, _): words
    }
  }
}

extension Plan {
  /// The initial value for reading: all defaults, and the paper's encoder for required fields.
  static let unset = Plan(
    encoder: EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3))
}

extension PlanField.OptionalSection {
  /// Without it, the server does not calibrate.
  static let calibration = Self(
    isPresent: { $0.method.calibration != nil },
    create: { $0.method.calibration = Plan.Calibration(data: "") })
}

extension PlanField.OptionalSection {
  /// Without it, the objective needs no labels.
  static let classification = Self(
    isPresent: { $0.method.classification != nil },
    create: { $0.method.classification = Plan.Classification(classes: .count(0)) })
}

extension Plan.Method {
  /// The classification's fields; setting one of them creates the section.
  var classificationFields: Plan.Classification {
    get { classification ?? Plan.Classification(classes: .count(0)) }
    set { classification = newValue }
  }

  /// The calibration's fields; setting one of them creates the calibration.
  var calibrationFields: Plan.Calibration {
    get { calibration ?? Plan.Calibration(data: "") }
    set { calibration = newValue }
  }
}
