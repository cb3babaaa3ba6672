import Engine
import Foundation
import Support

/// A curriculum that asks the learned controller of L2-GCN (``StageController``) whether a stage ends.
///
/// The loss is ``Metric/lastEpochLoss``. Decisions follow the rounds 1, 1 + `every`, … of each stage; a stage ends if the
/// probability is at least the threshold and the stage has `minimum` rounds, or if it has `maximum` rounds, also between
/// decisions. The previous action is what was done, so a decision is a function of the losses of all rounds so far.
/// There is no decision after a round without a loss.
package struct ControllerCurriculum: Curriculum {
  package let fixed: FixedCurriculum
  /// Nil where the file is not at hand, as at a client, which does not decide.
  package let file: ControllerFile?
  package let isOpen = true

  package init(fixed: FixedCurriculum, file: ControllerFile?) { (self.fixed, self.file) = (fixed, file) }

  package var stages: Int { fixed.stages }

  package func mostRounds(stage: Int) -> Int {
    min(fixed.mostRounds(stage: stage), file?.rule.maximum ?? .max)
  }

  package func next(after key: RoundKey, history: [[RoundMetrics]]) -> Decision {
    guard key.round < mostRounds(stage: key.stage) else { return afterStage(key.stage) }
    guard let file, key.round >= file.rule.minimum, let stop = file.stop(after: history),
      stop >= file.rule.threshold
    else { return .continueStage }
    return afterStage(key.stage)
  }
}

extension CurriculumKind {
  /// A stage ends when a learned controller says so.
  package static let controller = CurriculumKind("controller") { fixed, _, file in
    ControllerCurriculum(fixed: fixed, file: file)
  }
}

/// The file of a learned controller, which `fedsim search-controller` writes: JSON with the parameters by their names in
/// PyTorch, each as a list, row by row.
package struct ControllerFile: Sendable, Hashable {
  /// When a controller decides, and when a stage ends.
  package struct Rule: Sendable, Hashable, Codable {
    /// The probability from which a stage ends, 0 … 1.
    package var threshold: Double
    /// The rounds from one decision to the next, and the least and the most rounds of a stage.
    package var every, minimum, maximum: Int

    package init(threshold: Double, every: Int, minimum: Int, maximum: Int) {
      (self.threshold, self.every, self.minimum, self.maximum) = (threshold, every, minimum, maximum)
    }
  }

  package let controller: StageController
  package let rule: Rule
  /// How the controller was made, in words, by name.
  package let origin: [String: String]

  package init(_ controller: StageController, _ rule: Rule, origin: [String: String] = [:]) {
    (self.controller, self.rule, self.origin) = (controller, rule, origin)
  }

  /// Returns the probability of ending after the last round of a history; nil if there is no decision after it.
  package func stop(after history: [[RoundMetrics]]) -> Double? {
    var (state, stop) = (StageController.State(), Double?.none)
    for (stage, rounds) in history.prefix(controller.shape.stages).enumerated() {
      for (index, metrics) in rounds.enumerated() {
        stop = nil
        guard index % rule.every == 0, let loss = metrics[.lastEpochLoss] else { continue }
        stop = controller.decide(loss: loss, stage: stage, &state)
        state.hasEnded = index == rounds.count - 1
      }
    }
    return stop
  }
}

// MARK: - The file

extension ControllerFile {
  /// The fields of the file.
  private struct Fields: Codable {
    var stages, decisions: Int
    var rule: Rule
    var parameters: [String: [Float]]
    var origin: [String: String]
  }

  /// The most stages and decisions of a file: a decision has 18 numbers at least, and plans have few stages.
  package static let mostStages = PlanLimits.depth * PlanLimits.laps
  package static let mostDecisions = 10_000

  /// Why a file cannot be used, in one line.
  package struct FormatError: Error, CustomStringConvertible {
    package let description: String
  }

  /// Parses a file. Throws ``FormatError``.
  package init(parsing data: Data) throws(FormatError) {
    let fields: Fields
    do {
      fields = try JSON.read(Fields.self, from: data)
    } catch {
      throw Self.damaged(error)
    }
    try Self.check(fields)
    let shape = StageController.Shape(stages: fields.stages, decisions: fields.decisions)
    let entries = shape.layout.entries
    if let other = Set(fields.parameters.keys).subtracting(entries.map(\.name)).min() {
      throw Self.invalid(
        "\(PlanRejection.shown(other)) is not a parameter of a controller of \(fields.decisions) decisions")
    }
    var parameters: [Float] = []
    for entry in entries {
      guard let values = fields.parameters[entry.name] else { throw Self.invalid("\(entry.name) is missing") }
      guard values.count == entry.slot.count, values.allSatisfy(\.isFinite) else {
        throw Self.invalid("\(entry.name) must have \(entry.slot.count) finite numbers, not \(values.count)")
      }
      parameters += values
    }
    self.init(StageController(shape, parameters: parameters), fields.rule, origin: fields.origin)
  }

  private static func check(_ fields: Fields) throws(FormatError) {
    let rule = fields.rule
    func require(_ name: String, _ value: Int, _ bounds: ClosedRange<Int>) throws(FormatError) {
      guard bounds.contains(value) else {
        throw invalid("\(name) is \(value); it must be \(bounds.lowerBound) to \(bounds.upperBound)")
      }
    }
    try require("stages", fields.stages, 1...mostStages)
    try require("decisions", fields.decisions, 1...mostDecisions)
    try require("rule.every", rule.every, 1...PlanLimits.rounds)
    try require("rule.maximum", rule.maximum, 1...PlanLimits.rounds)
    try require("rule.minimum", rule.minimum, 1...rule.maximum)
    guard (0...1).contains(rule.threshold) else {
      throw invalid("rule.threshold is \(rule.threshold); it must be 0 to 1")
    }
  }

  private static func invalid(_ reason: String) -> FormatError {
    FormatError(description: "it is not a usable controller: \(reason)")
  }

  private static func damaged(_ error: any Error) -> FormatError {
    let reason =
      switch error {
      case DecodingError.keyNotFound(let key, let context):
        "\((context.codingPath + [key]).map(\.stringValue).joined(separator: ".")) is missing"
      case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
        context.codingPath.isEmpty
          ? "it is not a JSON object"
          : "\(PlanRejection.shown(context.codingPath.map(\.stringValue).joined(separator: "."))) has a value of another type"
      case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
        "\(PlanRejection.shown(context.codingPath.map(\.stringValue).joined(separator: "."))) has an invalid value"
      default: "it is not JSON"
      }
    return invalid(reason)
  }

  /// Checks that the controller is for the stages of a plan. Throws ``FormatError``.
  package func check(fits plan: Plan) throws(FormatError) {
    let stages = controller.shape.stages
    guard stages == plan.stages else {
      throw FormatError(
        description: "it is for \(counted(stages, "stage")), and the plan has \(plan.stages)")
    }
  }

  /// Returns the bytes of the file.
  package func encoded() throws -> Data {
    let entries = controller.shape.layout.entries.map {
      ($0.name, Array(controller.parameters[$0.slot.range]))
    }
    return try JSON.stored(
      Fields(
        stages: controller.shape.stages, decisions: controller.shape.decisions, rule: rule,
        parameters: Dictionary(uniqueKeysWithValues: entries), origin: origin))
  }
}
