import Engine
import Federation
import Foundation
import Support

/// A variant of the plan in a comparison: a strategy, a loss, and a value of each varied setting.
package struct ComparisonVariant: Sendable, Hashable, Codable {
  /// The training of a variant.
  package enum Training: String, Sendable, Codable, CaseIterable {
    case layerWise = "layer-wise"
    case progressive
    case endToEnd = "end-to-end"
    case headOnly = "head-only"
    /// The baseline without a federation: one client has all data and trains end to end.
    case centralised

    package init(_ strategy: Strategy) {
      switch strategy {
      case .layerWise: self = .layerWise
      case .progressive: self = .progressive
      case .endToEnd: self = .endToEnd
      case .headOnly: self = .headOnly
      }
    }

    package var strategy: Strategy {
      switch self {
      case .layerWise: .layerWise
      case .progressive: .progressive
      case .endToEnd, .centralised: .endToEnd
      case .headOnly: .headOnly
      }
    }
  }

  package let training: Training
  package let objective: ObjectiveKind
  /// The values of the varied settings, in the order of the comparison; for the baseline without those that have no
  /// effect on it.
  package let settings: [ComparisonSetting]

  private enum CodingKeys: String, CodingKey {
    case training = "strategy"
    case objective, settings
  }

  package init(_ training: Training, _ objective: ObjectiveKind, _ settings: [ComparisonSetting] = []) {
    (self.training, self.objective) = (training, objective)
    self.settings = training == .centralised ? settings.filter(\.concernsOneClient) : settings
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    training = try container.decode(Training.self, forKey: .training)
    objective = try container.decode(ObjectiveKind.self, forKey: .objective)
    settings = try container.decodeIfPresent([ComparisonSetting].self, forKey: .settings) ?? []
  }

  /// The name for folders, such as `layer-wise-simclr-local.batch=32`.
  package var name: String {
    ([training.rawValue, objective.rawValue] + settings.map(\.slug)).joined(separator: "-")
  }

  /// The name for tables, such as `layer-wise, simclr, local.batch=32`.
  package var label: String {
    ([training.rawValue, objective.rawValue] + settings.map(\.description)).joined(separator: ", ")
  }

  /// The value of a setting, of `strategy` and of `objective`; nil for one that the variant does not have.
  package func value(of name: String) -> String? {
    switch name {
    case "strategy": training.rawValue
    case "objective": objective.rawValue
    default: settings.first { $0.name == name }?.value
    }
  }

  /// Returns the plan of this variant, given the plan with its settings, in a comparison with `clients` clients.
  package func plan(of base: Plan, seed: UInt64, clients: Int) -> Plan {
    var plan = base.with(training.strategy)
    (plan.seed, plan.method.objective) = (seed, objective)
    if objective == .classification { plan.method.alignment = 0 } else { plan.method.classification = nil }
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    guard training == .centralised else { return plan }
    (plan.round.cohort, plan.round.quorum, plan.round.minimumClients) = (1, 1, 1)
    // A single update cannot be trimmed, and a device's memory limit does not apply to a central machine.
    (plan.round.aggregation, plan.local.memory) = (.mean, nil)
    // The single client does the work of all clients, so it gets the time of all.
    let deadline = plan.round.deadline.milliseconds * clients
    plan.round.deadline = min(TimeSpan(milliseconds: deadline), PlanLimits.deadline)
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    return plan
  }

  /// Returns the threads of one training; the baseline's single client gets the cores that all clients share.
  func threads(_ threads: Int, cores: Int) -> Int {
    min(training == .centralised ? cores : threads, cores, 256)
  }
}

/// The variants that others are compared with: those with certain values of some settings.
///
/// Each variant is compared with the one that has the reference's values, and its own in all other settings.
package struct ComparisonReference: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The values by the settings' names; the strategy's and the loss's as `strategy` and `objective`.
  private let values: [ComparisonSetting]

  /// The variants with an end-to-end training.
  package static let endToEnd = ComparisonReference([ComparisonSetting("strategy", "end-to-end")])

  package init(_ values: [ComparisonSetting]) { self.values = values }

  /// Parses `FIELD=VALUE,…`, or `FIELD=VALUE;…` if a value has commas; a strategy alone stands for `strategy=STRATEGY`.
  ///
  /// Throws ``ComparisonError/axis(_:)``.
  package init(parsing text: String) throws(ComparisonError) {
    let separator: Character = text.contains(";") ? ";" : ","
    var values: [ComparisonSetting] = []
    for part in text.split(separator: separator, omittingEmptySubsequences: false) {
      let words = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      switch words.count {
      case 2: values.append(ComparisonSetting(words[0], words[1]))
      case 1 where ComparisonVariant.Training(rawValue: words[0]) != nil:
        values.append(ComparisonSetting("strategy", words[0]))
      default:
        throw .axis(
          "--against \(PlanRejection.shown(String(part))): must be FIELD=VALUE or one of "
            + ComparisonVariant.Training.allCases.map(\.rawValue).joined(separator: ", "))
      }
    }
    self.values = values
  }

  package var description: String { values.map(\.description).joined(separator: ", ") }

  /// Returns a value that no variant has; nil if there is none.
  func missing(in variants: [ComparisonVariant]) -> ComparisonSetting? {
    values.first { value in !variants.contains { $0.value(of: value.name) == value.value } }
  }

  /// Returns the index of the variant that `variant` is compared with; nil if there is none, or it is the same.
  package func counterpart(of variant: ComparisonVariant, in variants: [ComparisonVariant]) -> Int? {
    let names = ["strategy", "objective"] + variant.settings.map(\.name)
    var wanted = Dictionary(uniqueKeysWithValues: names.map { ($0, variant.value(of: $0)) })
    for value in values { wanted[value.name] = value.value }
    let matching = variants.indices.filter { index in
      wanted.allSatisfy { variants[index].value(of: $0.key) == $0.value }
    }
    guard matching.count == 1, variants[matching[0]] != variant else { return nil }
    return matching[0]
  }
}
