import Federation
import Foundation

extension Plan {
  /// The same kind of job, trained in moments: few rounds a stage, few and small steps, few weights.
  func cut(rounds: Int) -> Plan {
    var plan = self
    plan.method.roundsPerStage = .each(rounds)
    plan.encoder.width = plan.encoder.family == .resnet ? 8 : 8 * plan.encoder.vit.heads
    (plan.heads.hidden, plan.heads.output) = (32, 16)
    (plan.local.epochs, plan.local.batch) = (1, min(plan.local.batch, 16))
    return plan
  }

  /// Cuts the plan in a file. Returns whether there is one.
  static func cut(_ file: URL, rounds: Int) throws -> Bool {
    guard let text = try? String(contentsOf: file, encoding: .utf8),
      let plan = try? Plan(yaml: text, file: file.path)
    else { return false }
    try Data(plan.cut(rounds: rounds).yaml().utf8).write(to: file)
    return true
  }

  /// Whether a text is a plan that can be run as it stands.
  static func isWhole(_ text: String) -> Bool { (try? Plan(yaml: text, file: "")) != nil }

  /// What is wrong with a plan, or with a part of one; nil where nothing is.
  static func problem(with text: String, file: String) -> String? {
    let encoder = "encoder: {image: 32, patch: 4, width: 96, depth: 4, heads: 3}\n"
    let whole = text.contains(/(?m)^encoder:/) ? text : encoder + text
    do throws(PlanError) { _ = try Plan(yaml: whole, file: file) } catch { return error.description }
    return nil
  }
}
