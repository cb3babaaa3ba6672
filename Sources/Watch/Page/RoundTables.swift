import Foundation
import Pages

/// The rounds that were committed, and the attempts that came to nothing, the last first.
struct RoundTables {
  let overview: Overview

  /// At most `count` of them.
  func committed(_ count: Int, live: String? = nil) -> String {
    let columns = [
      "loss", "calibration", "alignment", "uniformity", "deviation", "rank", "probe", "clients", "images",
      "wait", "time",
    ]
    let table = OverviewTable(
      columns: columns.map { .init(heading: $0) }, first: "stage, round",
      rows: overview.rounds.suffix(count).reversed().map { round in
        (
          "\(round.stage), \(round.round)",
          [
            Wording.number(round.loss), Wording.number(round.calibrationLoss),
            Wording.number(round.monitors?.alignment, digits: 3),
            Wording.number(round.monitors?.uniformity, digits: 3),
            Wording.number(round.monitors?.deviation, digits: 3),
            Wording.number(round.monitors?.effectiveRank, digits: 1), Wording.share(round.probe),
            "\(round.clients)", "\(round.samples)", Wording.seconds(round.waited),
            Wording.seconds(round.seconds),
          ]
        )
      }, none: RoundPlots.none(overview))
    return table.html("Rounds", live: live)
  }

  /// At most `count` of them, with their reasons.
  func abandoned(_ count: Int, live: String? = nil) -> String {
    let table = OverviewTable(
      columns: [
        .init(heading: "attempt"), .init(heading: "reason", isText: true, style: "reason"),
        .init(heading: "when", isText: true),
      ], first: "stage, round",
      rows: overview.abandonments.suffix(count).reversed().map { attempt in
        (
          "\(attempt.stage), \(attempt.round)",
          ["\(attempt.attempt)", Markup.escape(attempt.reason), Wording.time(attempt.finishedAt)]
        )
      }, none: "None.")
    return table.html("Attempts that were given up", live: live)
  }
}
