import Datasets

/// Advice on a plan: values that are allowed and rarely intended.
///
/// A rule is a value of ``LintRule/all``. A plan's errors are ``Plan/problems``; a plan with findings runs.
package enum Lint {
  /// Returns the findings of all rules, in the order of the rules. Without data, rules on data find nothing.
  package static func findings(_ plan: Plan, _ data: LintData? = nil) -> [LintFinding] {
    LintRule.all.flatMap { rule in
      rule.check(plan, data).map { advice in
        LintFinding(
          rule: rule.name, field: advice.field,
          value: advice.value ?? PlanField.all.first { $0.path == advice.field }?.write(plan) ?? "",
          reason: advice.reason, suggestion: advice.suggestion)
      }
    }
  }
}

/// A finding. The names are those of `fedsim lint --json`.
package struct LintFinding: Sendable, Hashable, Codable {
  package let rule: String
  /// The path of the field, such as `local.batch`, or `data`.
  package let field: String
  /// Its value, as in a plan's file.
  package let value: String
  package let reason: String
  /// What to write instead; nil if it depends.
  package let suggestion: String?

  /// The finding as one line.
  package var line: String {
    "\(field): \(value): \(reason)" + (suggestion.map { "; \($0)" } ?? "")
  }
}

/// A rule of the lint: a name, and a function of the plan and, if known, of the data of its clients.
package struct LintRule: Sendable {
  /// The advice of a rule on a field.
  package struct Advice: Sendable {
    let field: String
    /// The value to show; nil for that of the plan's field.
    let value: String?
    let reason: String
    let suggestion: String?

    init(_ field: String, value: String? = nil, _ reason: String, _ suggestion: String? = nil) {
      (self.field, self.value, self.reason, self.suggestion) = (field, value, reason, suggestion)
    }
  }

  package let name: String
  package let check: @Sendable (Plan, LintData?) -> [Advice]

  /// Creates a rule on the plan alone, with at most one advice.
  init(_ name: String, _ check: @escaping @Sendable (Plan) -> Advice?) {
    self.name = name
    self.check = { plan, _ in check(plan).map { [$0] } ?? [] }
  }

  /// Creates a rule on the plan and the data.
  init(_ name: String, data check: @escaping @Sendable (Plan, LintData) -> [Advice]) {
    self.name = name
    self.check = { plan, data in data.map { check(plan, $0) } ?? [] }
  }

  /// All rules, in the order of a plan's sections; those on data come last.
  package static let all = ofEncoder + ofMethod + ofTraining + ofRounds + ofAugmentation + ofData
}

/// What rules on data know of it.
package struct LintData: Sendable {
  /// The SPEC.
  package let description: String
  package let noun: String
  /// The number of examples of each client.
  package let sizes: [Int]
  /// The number of classes of each client; nil without labels.
  package let classes: [Int]?
  /// What is odd in the labels of all data.
  package let labelWarnings: [String]

  /// Takes the facts of a data set divided into `parts`, lists of indices.
  package init(_ set: Dataset, description: String, parts: [[Int]]) {
    let labels = set.labels
    self.init(
      description, noun: set.noun, sizes: parts.map(\.count),
      classes: labels.map { labels in
        parts.map { part in Set(part.lazy.map { labels[$0] }.filter { $0 >= 0 }).count }
      }, labelWarnings: LabelSense.warnings(of: set))
  }

  /// Creates facts as they are.
  package init(
    _ description: String, noun: String = "image", sizes: [Int], classes: [Int]? = nil,
    labelWarnings: [String] = []
  ) {
    (self.description, self.noun, self.sizes) = (description, noun, sizes)
    (self.classes, self.labelWarnings) = (classes, labelWarnings)
  }
}

extension Plan {
  /// Whether the loss compares each view with those of the batch's other images.
  var isContrastive: Bool { [.simclr, .mocov3].contains(method.objective) }
  /// Whether the loss compares two augmented views of an image.
  var comparesViews: Bool {
    encoder.input.isImages && [.simclr, .mocov3, .byol, .vicreg, .barlow].contains(method.objective)
  }
}
