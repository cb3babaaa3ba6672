import Engine
import Yams

/// A field of a plan's file. The table of fields (``PlanField/all``) drives reading, writing and the check of
/// docs/plans.md.
package struct PlanField: Sendable {
  /// The value of a field that the file omits.
  package enum Default: Sendable {
    /// The field is required.
    case required
    /// The field is required except for a family, for which it has a value: the default as shown in docs/plans.md, the
    /// family, and the change of the plan.
    case requiredUnless(String, EncoderConfiguration.Family, @Sendable (inout Plan) -> Void)
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
  /// The encoder families to which the field applies; nil for all.
  let families: Families?
  /// The section of the field if a plan need not have it; nil for a section that all plans have.
  let optionalSection: OptionalSection?
  let fallback: Default
  let read: @Sendable (Node, inout Plan) throws(PlanRejection) -> Void
  let write: @Sendable (Plan) -> String
  /// Returns the problem of the field's value in a plan; nil if it has none.
  let problem: @Sendable (Plan) -> String?

  /// Encoder families to which a field applies.
  struct Families: Sendable {
    /// The families in words.
    let description: String
    let contains: @Sendable (EncoderConfiguration.Family) -> Bool

    /// Encoders with attention heads.
    static let attention = Self(description: "vit and gat") { [.vit, .gat].contains($0) }
    /// Graph attention networks.
    static let gat = Self(description: "gat") { $0 == .gat }
    /// Vision transformers.
    static let vit = Self(description: "vit") { $0 == .vit }
    /// Deep linear networks.
    static let linear = Self(description: "linear") { $0 == .linear }
    /// Graph convolutional networks.
    static let gcn = Self(description: "gcn") { $0 == .gcn }
    /// All families whose encoders take images.
    static let images = Self(description: "encoders of images") { $0.takesImages }
    /// All families whose encoders take the nodes of a graph.
    static let nodes = Self(description: "encoders of nodes") { $0.noun == "node" }
    /// All families whose encoders take the features of nodes or rows.
    static let features = Self(description: "encoders of nodes or rows") { !$0.takesImages }
  }

  /// A section that a plan need not have, such as `method.calibration`.
  struct OptionalSection: Sendable {
    /// Returns whether a plan has the section.
    let isPresent: @Sendable (Plan) -> Bool
    /// Adds the section, with the defaults of its fields.
    let create: @Sendable (inout Plan) -> Void
  }

  init<Value>(
    _ path: String, _ place: WritableKeyPath<Plan, Value> & Sendable,
    of families: Families? = nil, _ value: PlanValue<Value>,
    unit: String = "", or fallback: Default = .standard, _ meaning: String,
    in section: OptionalSection? = nil
  ) {
    self.init(
      path, value, of: families, unit: unit, or: fallback, meaning, in: section,
      get: { $0[keyPath: place] }, set: { $0[keyPath: place] = $1 })
  }

  /// Creates a field whose value a plan reads and writes with two functions.
  init<Value>(
    _ path: String, _ value: PlanValue<Value>, of families: Families? = nil,
    unit: String = "", or fallback: Default = .standard, _ meaning: String, in section: OptionalSection?,
    get: @escaping @Sendable (Plan) -> Value, set: @escaping @Sendable (inout Plan, Value) -> Void
  ) {
    self.path = path
    self.type = value.type
    self.unit = unit
    self.meaning = meaning
    self.families = families
    self.optionalSection = section
    self.fallback = fallback
    self.read = { node, plan throws(PlanRejection) in set(&plan, try value.read(node)) }
    self.write = { value.write(get($0)) }
    self.problem = { value.problem(get($0)) }
  }

  /// Returns whether the field applies to a plan's encoder.
  package func belongs(to plan: Plan) -> Bool { families?.contains(plan.encoder.family) ?? true }

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
    case .required: families.map { "required for \($0.description)" } ?? "required"
    case .requiredUnless(let words, _, _): words
    case .standard where section == "encoder":
      "`\(write(unset))`" + (families.map { " for \($0.description)" } ?? "")
    case .standard: "`\(write(.unset))`"
    case .derived(let words, _): words
    }
  }

  /// The defaults of a plan whose encoder has the field.
  private var unset: Plan {
    var plan = Plan.unset
    if !belongs(to: plan),
      let family = EncoderConfiguration.Family.allCases.first(where: { families?.contains($0) ?? true })
    {
      plan.encoder.family = family
    }
    return plan
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
