import Engine
import Federation
import Testing

@Suite struct CascadePlanTests {
  private func problems(_ method: String) -> [String] {
    let yaml = """
      encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
      method: {objective: classification, classification: {classes: 7}, \(method)}
      """
    do {
      _ = try Plan(yaml: yaml, file: "plan")
      return []
    } catch { return error.problems.map { "\($0.field): \($0.reason)" } }
  }

  @Test func anEmptySectionHasTheDefaults() throws {
    #expect(problems("cascade: {}") == [])
    let plan = try Plan(
      yaml: """
        encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
        method: {objective: classification, classification: {classes: 7}, cascade: {}}
        """, file: "plan")
    #expect(plan.method.cascade == Plan.Cascade(confidence: 0.9, commitment: false, gate: 0.5))
    #expect(!plan.isSelecting(stage: 1) && plan.isSelecting(stage: 2))
    #expect(plan.stage(3).model.exits.count == 2)
  }

  /// Each combination in which earlier exits change, or do not exist, is one line.
  @Test(arguments: [
    ("strategy: progressive, cascade: {}", "progressive trains below them"),
    ("strategy: end-to-end, cascade: {}", "end-to-end trains below them or has none"),
    ("strategy: head-only, cascade: {}", "head-only"),
    ("calibration: {data: \"shapes:8\"}, cascade: {}", "the calibration trains the layers below them"),
    ("cascade: {confidence: 1.5}", "confidence: is '1.5'; must be"),
    ("cascade: {gate: -1}", "gate: is '-1'; must be"),
    ("cascade: {certainty: 1}", "is not a field of a plan"),
  ])
  func whatDoesNotCombineIsRejected(method: String, reason: String) {
    let problems = problems(method)
    #expect(problems.count == 1 && problems[0].contains(reason), "\(problems)")
  }

  @Test func onlyAClassificationHasExits() {
    let error = #expect(throws: PlanError.self) {
      try Plan(
        yaml: """
          encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
          method: {cascade: {}}
          """, file: "plan")
    }
    #expect(error?.problems.count == 1)
    #expect("\(error, default: "none")".contains("only for the objective classification"))
  }

  /// A commitment head is a part of each exit.
  @Test func exitsHaveTheCommitmentHead() throws {
    var plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 3, heads: 2))
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(3))
    plan.method.cascade = Plan.Cascade(commitment: true)
    let names = plan.stage(3).model.layout.entries.map(\.name)
    for exit in ["exits.1.", "exits.2.", ""] { #expect(names.contains("\(exit)commitment.weight")) }
  }
}
