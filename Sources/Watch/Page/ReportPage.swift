import Foundation
import Pages

/// A report on a run as one self-contained HTML page without scripts, which is also well-formed XML.
package struct ReportPage: Sendable {
  private let overview: Overview
  private let plan: String

  /// - Parameter plan: the plan as YAML.
  package init(_ overview: Overview, plan: String) { (self.overview, self.plan) = (overview, plan) }

  package var html: String {
    let parts = OverviewParts(overview: overview)
    let title = "Report: \(overview.name)"
    return Page.html(
      title: title, style: "\n\(PageStyle.css)\n\(WatchStyle.css)\n",
      body: """
        <main>
        <h1>\(Markup.escape(title))</h1>
        <p class="muted">\(parts.method)</p>
        \(parts.headline)
        \(parts.facts(isLive: false))
        <h2>By round</h2>
        <div class="plots">
        \(parts.plots.figures)
        </div>
        \(ConfusionSection(evaluation: overview.evaluation).html)
        \(LayerSection(overview: overview).html)
        \(parts.cascade)
        <h2>Encoder</h2>
        \(parts.stack)
        <h2>Clients</h2>
        \(parts.clients.whole)
        <h2>Rejected updates</h2>
        \(parts.rejections)
        <h2>Attempts given up</h2>
        \(parts.rounds.abandoned(.max))
        <h2>Rounds</h2>
        \(parts.rounds.committed(.max))
        <details open="">
        <summary>Plan</summary>
        <pre>\(Markup.escape(plan))</pre>
        </details>
        </main>
        """)
  }
}
