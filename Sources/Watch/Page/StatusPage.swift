import Federation
import Foundation
import Pages
import Server

/// The page of a current run, as HTML that is also well-formed XML. It loads no other file.
package struct StatusPage: Sendable {
  private let overview: Overview

  /// The number of rows in the tables; the plots and the report show all rounds.
  private static let rounds = 12
  private static let abandonments = 5

  package init(_ overview: Overview) { self.overview = overview }

  private static let style = "\n\(PageStyle.css)\n\(WatchStyle.css)\n"
  private static let script = "\n\(LiveScript.text)\n"

  /// The page's Content-Security-Policy: its style and script by digest, and requests to its server only.
  package static let policy =
    "default-src 'none'; style-src \(source(style)); script-src \(source(script)); connect-src 'self'; "
    + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  package var html: String {
    let parts = OverviewParts(overview: overview)
    return Page.html(
      title: "\(overview.name): \(Headline(overview: overview).title)", style: Self.style,
      head: "\n<link rel=\"icon\" href=\"data:,\"/>",
      body: """
        <main id="job" data-over="\(overview.isOver ? "yes" : "no")">
        <h1 id="name" data-live="">\(Markup.escape(overview.name))</h1>
        <p class="connection" id="connection" role="status">State at the time of loading</p>
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
        <div id="confusion" data-live="">
        \(ConfusionSection(evaluation: overview.evaluation).html)
        </div>
        <div id="layers" data-live="">
        \(LayerSection(overview: overview).html)
        </div>
        <h2>Clients</h2>
        \(parts.clients.live)
        <h2>Last rounds</h2>
        <div id="rounds" data-live="">
        \(parts.rounds.committed(Self.rounds))
        </div>
        <h2>Attempts given up lately</h2>
        \(parts.rounds.abandoned(Self.abandonments, live: "abandonments"))
        <h2>Rejected updates</h2>
        <div id="rejections" data-live="">
        \(parts.rejections)
        </div>
        <p class="muted">Strata \(Software.version). API: /api/overview, /metrics, /healthz.</p>
        </main>
        <script>\(Self.script)</script>
        """)
  }

  /// Returns the policy source of an inline text: the SHA-256 digest of its bytes (CSP level 3, section 2.3.1).
  private static func source(_ text: String) -> String {
    "'sha256-\(Digest(of: Data(text.utf8)).data.base64EncodedString())'"
  }
}

/// The server's activity, or how the job ended, in a line.
struct Headline {
  let overview: Overview

  /// The title of the page: the outcome in a word or, before the end, the stage and round.
  var title: String { ending?.word ?? overview.status.place }

  var html: String {
    let status = overview.status
    guard let ending else {
      return "<p class=\"doing\"><strong>\(Markup.escape(Wording.sentence(status.place)))</strong> "
        + "\(Markup.escape(Wording.sentence(doing)))</p>"
    }
    return
      "<p class=\"doing\"><strong class=\"state \(ending.style)\">\(Markup.escape(ending.word))</strong> "
      + "\(Markup.escape(Wording.sentence(ending.words)))</p>"
  }

  /// The style, the outcome in a word, and its explanation.
  private var ending: (style: String, word: String, words: String)? {
    let place = overview.status.place
    switch overview.status.phase {
    case .finished: return ("finished", "Finished", "the job is done")
    case .failed:
      let why = overview.failure ?? "the server's log gives the reason"
      return ("failed", overview.status.reason == nil ? "Given up" : "Failed", "\(place): \(why)")
    case .stopped:
      return ("stopped", "Stopped", "\(place); the job continues when the server is started again")
    case .recruiting, .training, .aggregating, .calibrating:
      guard !overview.isRunning else { return nil }
      return ("failed", "Not running", "the server does not run; its last state is \(place)")
    }
  }

  /// The server's activity. After a restart, the cohort of the round may not have reconnected yet.
  private var doing: String {
    let status = overview.status
    guard status.phase == .training, Double(status.present) < Double(status.cohort) - Double(status.admitted)
    else {
      return status.doing
    }
    let updates = "\(status.admitted) updates are admitted, \(status.quorum) are needed"
    let here = ["none is", "one is"].dropFirst(max(status.present, 0)).first ?? "\(status.present) are"
    return "\(status.cohort) clients were asked to train, \(here) connected: \(updates)"
  }
}

/// The encoder as a stack of layers; the filled part of a layer is the share of its rounds that are committed.
struct LayerStack {
  let layers: [Overview.Layer]
  /// Whether the job has ended.
  var isOver = false

  var html: String {
    """
    <ol class="stack" aria-label="The encoder's layers, from the lowest">
    \(layers.map(item).joined(separator: "\n"))
    </ol>
    """
  }

  /// Returns the number of rows of plots that are about as high as `layers` layers.
  static func rows(_ layers: Int) -> Int { min(max(layers, 1) / 8 + 1, 4) }

  private func item(_ layer: Overview.Layer) -> String {
    let state =
      switch layer.state {
      case .frozen: "frozen"
      case .training: isOver ? "unfinished" : "in training"
      case .toCome: isOver ? "not started" : "pending"
      }
    return """
      <li class="layer \(layer.state.rawValue)">\(Self.bar(layer.done, of: layer.rounds))\
      <span class="name">\(Markup.escape(Self.title(layer.name)))</span>\
      <span>\(state), \(layer.done) of \(Wording.count(layer.rounds, "round"))</span></li>
      """
  }

  /// Returns a bar for a share of the whole. The sizes are attributes, because the policy forbids inline styles.
  static func bar(_ part: Int, of whole: Int, style: String = "") -> String {
    let share = whole > 0 ? min(max(Double(part) / Double(whole), 0), 1) : 0
    let width = String(format: "%.1f", share * 100)
    return
      "<svg\(style.isEmpty ? "" : " class=\"\(style)\"") viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
      + "aria-hidden=\"true\"><rect width=\"\(width)\" height=\"1\"/></svg>"
  }

  /// Returns the displayed name of a layer, counted from 1: `blocks.0` is layer 1.
  private static func title(_ name: String) -> String {
    guard name.hasPrefix("blocks."), let index = Int(name.dropFirst("blocks.".count)) else { return name }
    return "layer \(index + 1)"
  }
}

/// Numbers and times as markup. A missing value is a dash; a number and its unit stay on one line.
enum Wording {
  static let none = "<span class=\"muted\">–</span>"
  /// A non-breaking space.
  static let space = "\u{A0}"

  static func bytes(_ count: Int?) -> String {
    guard let count else { return none }
    let scale = FigureUnit.bytes.scale(for: [Double(count)])
    return scale.text(Double(count)) + space + scale.name
  }

  static func seconds(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return FigureUnit.seconds.scale(for: [value]).text(value) + space + "s"
  }

  static func number(_ value: (some BinaryFloatingPoint)?, digits: Int = 4) -> String {
    value.map { Numeral.fixed(Double($0), digits: digits) } ?? none
  }

  /// Returns a share in per cent.
  static func share(_ value: Double?) -> String {
    value.map { Numeral.fixed(100 * $0, digits: 1) + space + "%" } ?? none
  }

  /// A metric's value in its unit.
  static func value(_ value: Double?, of metric: Metric) -> String {
    metric.unit == .share ? share(value) : number(value, digits: metric.digits)
  }

  /// The display of a time on an open page.
  enum Kind: String {
    /// The time itself, in UTC.
    case absolute = ""
    /// The time elapsed since then.
    case ago = " data-ago=\"\""
    /// The time remaining until then.
    case until = " data-until=\"\""
  }

  static func time(_ date: Date?, _ kind: Kind = .absolute) -> String {
    guard let date else { return none }
    let machine = date.formatted(.iso8601)
    let people = date.formatted(.iso8601.dateTimeSeparator(.space).timeZoneSeparator(.omitted)).dropLast()
    return "<time datetime=\"\(machine)\"\(kind.rawValue)>\(people)\(space)UTC</time>"
  }

  /// Returns "1 client" or "2 clients".
  static func count(_ number: Int, _ noun: String) -> String {
    "\(number)\(space)\(noun)\(number == 1 ? "" : "s")"
  }

  /// Returns a text as a sentence.
  static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() + "." }
}
