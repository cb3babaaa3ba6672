import Foundation
import Simulation

/// What `fedsim evaluate` says in the end.
struct EvaluationReport: Encodable {
  private let linearProbe, nearestNeighbours: Double
  private let fineTuned: Double?
  private let trainImages, testImages, fineTuningEpochs: Int
  private let seed: UInt64
  private let seconds: Double

  init(_ accuracies: EncoderEvaluation.Accuracies, _ evaluation: EncoderEvaluation, seconds: Double) {
    (linearProbe, nearestNeighbours) = (accuracies.linearProbe, accuracies.nearestNeighbours)
    (fineTuned, fineTuningEpochs) = (accuracies.fineTuned, evaluation.fineTuningEpochs)
    (trainImages, testImages) = (evaluation.train.count, evaluation.test.count)
    (seed, self.seconds) = (evaluation.seed, seconds)
  }

  var table: String {
    var lines = [
      "images           \(trainImages) to fit, \(testImages) to test",
      String(format: "linear probe     %.1f %%", 100 * linearProbe),
      String(format: "k-NN             %.1f %%", 100 * nearestNeighbours),
    ]
    if let fineTuned {
      let epochs = fineTuningEpochs == 1 ? "1 epoch" : "\(fineTuningEpochs) epochs"
      lines.append(String(format: "fine-tuned       %.1f %%, %@", 100 * fineTuned, epochs))
    }
    lines.append(String(format: "time             %.1f s", seconds))
    return lines.joined(separator: "\n")
  }
}
