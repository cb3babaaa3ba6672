import Federation
import Foundation
import Server

extension RoundSummary {
  /// A committed round as `fedsim run` tells it, in less than 80 columns.
  package func line(of plan: Plan) -> String {
    let calibration = calibrationLoss.map { String(format: "  calibrated %.4f", $0) } ?? ""
    return String(
      format: "stage %d/%d round %d/%d  loss %.4f%@  %@  %.1f s", stage, plan.stages, round,
      plan.rounds(stage: stage), loss, calibration, counted(clients, "client"), seconds)
  }

  /// Whether a text is such a line.
  package static func isLine(_ text: String) -> Bool {
    text.prefixMatch(of: #/stage \d+/\d+ round \d+/\d+  loss /#) != nil
  }
}
