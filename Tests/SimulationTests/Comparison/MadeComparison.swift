import Federation
import Foundation
import Simulation

/// Comparisons made of invented summaries.
enum MadeComparison {
  /// Returns a summary of two clients over the tiny plan's two rounds.
  static func run(
    probe: Double, up: Int = 1_000_000, down: Int = 2_000_000, seconds: Double = 3,
    losses: [Double] = [2, 1],
    stages: [Int] = [1, 2], collapsed: Bool = false, evaluation: String = "null",
    analysis: String = "null"
  ) throws -> Summary {
    let rounds = zip(stages.indices, losses).map { index, loss in
      """
      {"stage": \(stages[index]), "round": \(stages[index] == 1 ? index + 1 : 1), "loss": \(loss),
       "seconds": \(seconds), "clients": 2, "samples": 32}
      """
    }
    let text = """
      {"name": "made", "seed": 7, "strategy": "layer-wise", "objective": "simclr", "stages": 2, "collapsed": \(collapsed),
       "encoderDigest": "", "seconds": \(seconds + 1), "peakMemoryBytes": 1, "evaluation": \(evaluation),
       "analysis": \(analysis),
       "rounds": [\(rounds.joined(separator: ","))],
       "clients": [
         {"name": "client-0", "samples": 16, "bytesUp": \(up - 1000), "bytesDown": \(down)},
         {"name": "client-1", "samples": 16, "bytesUp": \(up + 1000), "bytesDown": \(down)}],
       "probe": {"trained": \(probe), "untrained": 0.2},
       "probes": [{"stage": \(stages[0]), "round": 1, "linearProbe": \(probe / 2)}]}
      """
    return try JSONDecoder().decode(Summary.self, from: Data(text.utf8))
  }

  static func row(
    _ training: ComparisonVariant.Training, _ runs: [Summary?], peaks: [Int] = [],
    failures: [ComparisonReport.Failure] = []
  ) -> ComparisonReport.Row {
    let variant = ComparisonVariant(training, .simclr)
    let memory = peaks.enumerated().map { index, peak in
      StageMemory.Result(
        stage: index + 1, batch: 16, threads: 1, peakMemoryBytes: peak, plannedMemoryBytes: 1,
        trainerMemoryBytes: 1)
    }
    return ComparisonReport.Row(
      variant, plan: variant.plan(of: .tiny(), seed: 7, clients: 2), runs: runs, memory: memory,
      failures: failures)
  }

  static func report(
    name: String = "made", seeds: [UInt64] = [7, 8], command: String = "fedsim compare plan.yaml",
    _ rows: [ComparisonReport.Row]
  ) -> ComparisonReport {
    ComparisonReport(
      name: name, command: command, plan: Plan.tiny().yaml(), clients: 2, data: "shapes:32",
      testData: "shapes:30", partition: "even", seeds: seeds, rows: rows)
  }

  /// Layer-wise and end-to-end training with two seeds, and the baseline with one failed seed.
  static func whole(name: String = "made") throws -> ComparisonReport {
    report(
      name: name,
      [
        row(
          .layerWise, [try run(probe: 0.40, seconds: 1), try run(probe: 0.44, seconds: 1.5)],
          peaks: [30_000_000, 40_000_000]),
        row(
          .endToEnd,
          [
            try run(probe: 0.5, up: 4_000_000, stages: [1, 1]),
            try run(probe: 0.55, up: 4_000_000, stages: [1, 1]),
          ], peaks: [160_000_000]),
        row(
          .centralised, [try run(probe: 0.6, stages: [1, 1]), nil], peaks: [170_000_000],
          failures: [.init(name: "centralised-simclr-8", code: 8, reason: "given <up> & over")]),
      ])
  }
}
