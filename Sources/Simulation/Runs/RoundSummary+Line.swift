import Federation
import Foundation
import Pages
import Server
import Support

extension RoundSummary {
  /// A committed round as `fedsim run` tells it, in less than 80 columns.
  package func line(of plan: Plan) -> String {
    let calibration = calibrationLoss.map { "  calibrated \(Numeral.fixed($0, digits: 4))" } ?? ""
    return String(
      format: "stage %d/%d round %d%@  loss %@%@  %@  %.1f s", stage, plan.stages, round,
      plan.curriculum.isOpen
        ? " of at most \(plan.mostRounds(stage: stage))" : "/\(plan.mostRounds(stage: stage))",
      Numeral.fixed(loss, digits: 4), calibration, counted(clients, "client"),
      seconds)
  }

  /// Whether a text is such a line.
  package static func isLine(_ text: String) -> Bool {
    text.prefixMatch(of: #/stage \d+/\d+ round \d+(/| of at most )\d+  loss /#) != nil
  }
}
