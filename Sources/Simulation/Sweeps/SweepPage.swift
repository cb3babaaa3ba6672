import Foundation
import Pages
import Support

/// The losses of deep linear networks by sweep as one self-contained HTML page, which is also well-formed XML.
package struct SweepPage: Sendable {
  private let report: SweepReport

  package init(_ report: SweepReport) { self.report = report }

  private static let title = "Sweeps of deep linear networks"

  package var html: String {
    Page.html(
      title: Self.title,
      body: """
        <main>
        <h1>\(Self.title)</h1>
        <p>\(Markup.escape(introduction))</p>
        <div class="plots">
        \(plots.map { "<figure>\n\($0.svg)\n</figure>" }.joined(separator: "\n"))
        </div>
        \(table)
        <section class="notes">
        \(notes.map { "<p>\(Markup.escape($0))</p>" }.joined(separator: "\n"))
        </section>
        <details>
        <summary>Command</summary>
        <pre>\(Markup.escape(report.command))</pre>
        </details>
        </main>
        """)
  }

  private var introduction: String {
    "Block coordinate descent with the exact rate on \(report.data): \(counted(report.rows, "row")) of "
      + "\(counted(report.inputs, "input")) and \(counted(report.targets, "target")). Width \(report.width), "
      + "\(report.order.rawValue) sweeps, \(report.start.rawValue) start, medians of "
      + "\(counted(report.starts, "start")) from seed \(report.seed)."
  }

  private var notes: [String] {
    [
      report.leastSquares == nil
        ? "The inputs are linearly dependent, so least squares has no unique solution; the plots show the loss, the mean over the rows of half the squared distance from the targets."
        : "Left: the loss above that of least squares, as a share of that before the first sweep. A value of 0 is not shown.",
      "A sweep updates every matrix once, so a sweep of depth L has L updates, and costs about L times one of depth 1. The second plot counts updates: it compares equal costs.",
      "Bytes of float64 numbers that travel up and down in a sweep after the first. Weights: the matrices themselves, whose mean over clients is no exact step.",
    ]
  }

  // MARK: - Plots

  private var plots: [Plot] {
    [
      plot(by: "sweep", sweeps: last) { depth in depth.losses.indices.map { Double($0) } },
      plot(by: "update", sweeps: mostUpdates) { depth in
        depth.losses.indices.map { Double($0 * depth.updates) }
      },
    ]
  }

  private var last: Int { (report.depths.first?.losses.count ?? 1) - 1 }

  /// The updates that the shallowest depth has, up to which all depths can be compared.
  private var mostUpdates: Int { last * (report.depths.map(\.updates).min() ?? 1) }

  private func plot(
    by counted: String, sweeps: Int, _ x: (SweepReport.Depth) -> [Double]
  ) -> Plot {
    let series = report.depths.enumerated().compactMap { index, depth in
      let points = zip(x(depth), depth.left ?? depth.losses).filter { $0.0 <= Double(sweeps) }
      return points.count > 1
        ? Plot.Series("depth \(depth.depth)", style: index, points: points.map { (x: $0, y: $1) }) : nil
    }
    var plot = Plot(
      "Loss\(report.leastSquares == nil ? "" : " left") by \(counted)", unit: .plain, line: .marked,
      startsAtZero: false, rounds: sweeps + 1, stageEnds: [], series: series)
    (plot.counted, plot.first, plot.isLogarithmic) = (counted, 0, true)
    return plot
  }

  // MARK: - Table

  private var table: String {
    let sweeps = report.shownSweeps
    let head =
      ["loss at the start"] + sweeps.map { "\(report.valueName) after \($0)" }
      + ["bytes, moments", "bytes, exchange", "bytes, weights"]
    let lines = report.depths.map { depth in
      let cells =
        [String(format: "%.4g", depth.losses[0])] + sweeps.map { report.value(depth, $0) }
        + [depth.traffic.moments, depth.traffic.exchange, depth.traffic.weights].map { "\($0)" }
      return "<tr><th scope=\"row\">depth \(depth.depth)</th>\(cells.map { "<td>\($0)</td>" }.joined())</tr>"
    }
    return """
      <h2>By depth</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="By depth">
      <table>
      <thead><tr><td></td>\(head.map { "<th scope=\"col\">\($0)</th>" }.joined())</tr></thead>
      <tbody>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      """
  }
}
