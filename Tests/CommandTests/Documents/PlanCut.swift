import Federation
import Foundation

extension Plan {
  /// Returns the same kind of job with few rounds, steps and weights, which trains in moments.
  func cut(rounds: Int) -> Plan {
    var plan = self
    plan.method.roundsPerStage = .each(rounds)
    plan.encoder.width = [.vit, .gat].contains(plan.encoder.family) ? 8 * plan.encoder.heads : 8
    (plan.heads.hidden, plan.heads.output) = (32, 16)
    (plan.local.epochs, plan.local.batch) = (1, min(plan.local.batch, 16))
    return plan
  }

  /// Shortens the plan in a file. Returns whether there is one.
  static func cut(_ file: URL, rounds: Int) throws -> Bool {
    guard let text = try? String(contentsOf: file, encoding: .utf8),
      let plan = try? Plan(yaml: text, file: file.path)
    else { return false }
    try Data(plan.cut(rounds: rounds).yaml().utf8).write(to: file)
    return true
  }

  /// Returns whether a text is a complete plan.
  static func isWhole(_ text: String) -> Bool { (try? Plan(yaml: text, file: "")) != nil }

  /// Returns the error in a plan, or in a part of one; nil if there is none.
  static func problem(with text: String, file: String) -> String? {
    let encoder = "encoder: {image: 32, patch: 4, width: 96, depth: 4, heads: 3}\n"
    let whole = text.contains(/(?m)^encoder:/) ? text : encoder + text
    do throws(PlanError) { _ = try Plan(yaml: whole, file: file) } catch { return error.description }
    return nil
  }
}
