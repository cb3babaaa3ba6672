import Federation
import Foundation
import Pages

/// The page of a run that is under way, as HTML that is well-formed XML too. It loads nothing but itself.
package struct StatusPage: Sendable {
  private let overview: Overview

  /// Lines of the tables; the plots have all rounds, the report has all.
  private static let rounds = 12
  private static let abandonments = 5

  package init(_ overview: Overview) { self.overview = overview }

  private static let style = "\n\(PageStyle.css)\n\(WatchStyle.css)\n"
  private static let script = "\n\(LiveScript.text)\n"

  /// The page's Content-Security-Policy: its own style and script by their digests, its own server to ask again.
  package static let policy =
    "default-src 'none'; style-src \(source(style)); script-src \(source(script)); connect-src 'self'; "
    + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  package var html: String {
    let parts = OverviewParts(overview: overview)
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <link rel="icon" href="data:,"/>
      <title>\(Markup.escape("\(overview.name): \(Headline(overview: overview).title)"))</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <main id="job" data-over="\(overview.isOver ? "yes" : "no")">
      <h1 id="name" data-live="">\(Markup.escape(overview.name))</h1>
      <p class="connection" id="connection" role="status">As of the page's loading</p>
      <div id="now" data-live="">
      \(parts.headline)
      \(parts.missing)
      \(parts.facts(isLive: true))
      </div>
      <div class="plots" id="board" data-live="">
      <section class="encoder rows\(LayerStack.rows(overview.layers.count))">
      <h2>Encoder</h2>
      <p class="muted">\(parts.method)</p>
      \(parts.stack)
      </section>
      \(parts.plots.figures)
      </div>
      <h2>Clients</h2>
      \(parts.clients.live)
      <h2>Last rounds</h2>
      \(parts.rounds.committed(Self.rounds, live: "rounds"))
      <h2>Attempts given up lately</h2>
      \(parts.rounds.abandoned(Self.abandonments, live: "abandonments"))
      <h2>Rejected updates</h2>
      <div id="rejections" data-live="">
      \(parts.rejections)
      </div>
      <p class="muted">Strata \(Software.version). For machines: /api/overview, /metrics, /healthz.</p>
      </main>
      <script>\(Self.script)</script>
      </body>
      </html>

      """
  }

  /// An inline text as a policy names it: the SHA-256 of its bytes (CSP level 3, section 2.3.1).
  private static func source(_ text: String) -> String {
    "'sha256-\(Digest(of: Data(text.utf8)).data.base64EncodedString())'"
  }
}
