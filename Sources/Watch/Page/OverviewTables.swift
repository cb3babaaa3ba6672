import Engine
import Federation
import Foundation
import Pages
import Server

/// An HTML table with a heading for each column; the first cell of each row is its name.
struct OverviewTable {
  struct Column {
    let heading: String
    /// Whether the column holds text, which is aligned left.
    var isText = false
    /// An additional class of the cells.
    var style = ""

    var mark: String {
      let classes = [isText ? "text" : "", style].filter { !$0.isEmpty }
      return classes.isEmpty ? "" : " class=\"\(classes.joined(separator: " "))\""
    }
  }

  /// The columns after the first.
  let columns: [Column]
  let first: String
  /// The rows: a name as text, and a cell of markup for each column.
  let rows: [(name: String, cells: [String])]
  /// The text of an empty table.
  let none: String

  /// - Parameters:
  ///   - live: the identifier of the rows, if they change on an open page.
  ///   - isBox: whether the table has a limited height and scrolls separately.
  ///   - isSortable: whether the script may sort the rows by a column.
  func html(
    _ label: String, live: String? = nil, isBox: Bool = false, isSortable: Bool = false
  ) -> String {
    let head = columns.map { "<th scope=\"col\"\($0.mark)>\(Markup.escape($0.heading))</th>" }
    var lines = rows.map { row in
      let cells = zip(columns, row.cells).map { "<td\($0.mark)>\($1)</td>" }
      let name = Markup.escape(row.name)
      return "<tr><th scope=\"row\" title=\"\(name)\">\(name)</th>\(cells.joined())</tr>"
    }
    if lines.isEmpty {
      lines = [
        "<tr><td class=\"text muted\" colspan=\"\(columns.count + 1)\">\(Markup.escape(none))</td></tr>"
      ]
    }
    let mark = live.map { " id=\"\($0)\" data-live=\"\"" } ?? ""
    return """
      <div class="scroll\(isBox ? " box" : "")" tabindex="0" role="region" aria-label="\(Markup.escape(label))">
      <table\(isSortable ? " id=\"\(live ?? "")Table\"" : "")>
      <thead><tr><th scope="col" class="text">\(Markup.escape(first))</th>\(head.joined())</tr></thead>
      <tbody\(mark)>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      """
  }
}

/// The parts common to the status page and the report.
struct OverviewParts {
  let overview: Overview

  var headline: String { Headline(overview: overview).html }
  /// The clients that the server waits for, by name; empty if it waits for none that it knows.
  var missing: String {
    guard overview.isRunning, let missing = overview.status.missing(naming: Self.mostMissing) else {
      return ""
    }
    return "<p class=\"missing\">\(Markup.escape(Wording.sentence(missing)))</p>"
  }

  /// The maximum number of clients named in a sentence.
  private static let mostMissing = 8

  var method: String { Markup.escape("\(overview.strategy), \(overview.objective)") }
  var stack: String { LayerStack(layers: overview.layers, isOver: overview.isOver).html }
  var plots: RoundPlots { RoundPlots(overview: overview) }
  var clients: ClientTable { ClientTable(overview: overview) }
  var rounds: RoundTables { RoundTables(overview: overview) }

  /// - Parameter isLive: whether the server may be running.
  func facts(isLive: Bool) -> String {
    let last = overview.rounds.last
    let space = Wording.space
    var facts: [(String, String)] = [
      (
        "Rounds",
        "\(overview.rounds.count) of\(space)\(overview.isOpen ? "at most\(space)" : "")\(overview.plannedRounds)"
      ),
      ("Last loss", Wording.number(last?.loss)),
      (
        "Collapse",
        last?.monitors.map { $0.isCollapsed ? "<strong>representations collapse</strong>" : "none" }
          ?? Wording.none
      ),
      ("Abandoned attempts", "\(overview.abandoned)"),
    ]
    if let evaluation = overview.evaluation {
      facts.insert(
        (
          "Accuracy",
          "\(Wording.share(evaluation.accuracy)) (majority class \(Wording.share(evaluation.majorityBaseline)))"
        ),
        at: 2)
    }
    if let cascade = overview.cascade {
      facts.append(("Images by stage", cascade.stages.map { "\($0.remaining)" }.joined(separator: ", ")))
    }
    facts += [
      (
        "Updates",
        "\(overview.updatesAdmitted)\(space)admitted, \(overview.rejections.values.reduce(0, +))\(space)rejected"
      ),
      (
        "Traffic",
        "\(Wording.bytes(overview.total(\.receivedBytes)))\(space)received, "
          + "\(Wording.bytes(overview.total(\.sentBytes)))\(space)sent"
      ),
    ]
    if isLive {
      let connected = overview.clients.count(where: \.isConnected)
      facts.insert(("Clients", "\(connected) of\(space)\(overview.clients.count) connected"), at: 1)
    } else {
      facts.append(("Clients", "\(overview.clients.count)"))
      facts.append(("Time in rounds", Wording.seconds(overview.rounds.compactMap(\.seconds).reduce(0, +))))
      facts.append(("Waits for clients", Wording.seconds(overview.rounds.compactMap(\.waited).reduce(0, +))))
    }
    if isLive, !overview.isOver {
      facts.append(("In this phase since", Wording.time(overview.status.since, .ago)))
      if let until = overview.status.until {
        facts.append(("Latest end of this phase", Wording.time(until, .until)))
      }
      if let end = overview.estimate.roundEnd {
        facts.append(("Estimated end of the round", Wording.time(end, .until)))
      }
      if let end = overview.estimate.jobEnd {
        facts.append(("Estimated end of the job", Wording.time(end, .until)))
      }
      facts.append(("Memory of the server", Wording.bytes(overview.residentBytes)))
    }
    facts.append(("Started", Wording.time(overview.startedAt)))
    switch overview.status.phase {
    case .failed: facts.append(("Given up", Wording.time(overview.status.since)))
    case .stopped: facts.append(("Stopped", Wording.time(overview.status.since)))
    default: if let finished = overview.finishedAt { facts.append(("Finished", Wording.time(finished))) }
    }
    let items = facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" }
    return "<dl class=\"facts\">\n\(items.joined(separator: "\n"))\n</dl>"
  }

  /// The images that a cascade has left for each stage, by client, and what the training cost; empty without one.
  var cascade: String {
    guard let cascade = overview.cascade else { return "" }
    let names = Set(cascade.stages.flatMap(\.images.keys)).sorted { $0.precedesNaturally($1) }
    let table = OverviewTable(
      columns: cascade.stages.map { .init(heading: "stage \($0.stage)") }, first: "client",
      rows: (names.map { name in
        (name, cascade.stages.map { $0.images[name].map(String.init) ?? Wording.none })
      }) + [("all", cascade.stages.map { "\($0.remaining)" })],
      none: "")
    func giga(_ operations: Double) -> String { String(format: "%.4g", operations / 1e9) }
    return """
      <h2>Images that earlier exits left</h2>
      \(table.html("Images that earlier exits left"))
      <p class="muted">Training took \(giga(cascade.training))\(Wording.space)G multiply-accumulates; end to end, as \
      many epochs take \(giga(cascade.endToEnd))\(Wording.space)G, and \(Wording.number(cascade.equalEpochs, digits: 1)) \
      epochs as much.</p>
      """
  }

  var rejections: String {
    let found = overview.rejections.sorted { $0.key < $1.key }
    guard !found.isEmpty else { return "<p class=\"muted\">None.</p>" }
    let items = found.map { name, count in
      let why = Rejection(rawValue: name)?.explanation ?? name
      return "<li>\(count): \(Markup.escape(why))</li>"
    }
    return "<ul>\n\(items.joined(separator: "\n"))\n</ul>"
  }
}

/// The table of clients, one per row.
struct ClientTable {
  let overview: Overview

  private typealias Column = (OverviewTable.Column, (Overview.Client) -> String)

  /// The current state for an open page, with the columns that show a client's work first. If there are very many
  /// clients, it shows the most recent ones. A script sorts and filters the rows.
  var live: String {
    let notAsked = Dictionary((overview.status.notAsked ?? []).map { ($0.client, $0.explanation) }) { $1 }
    let columns: [Column] = [
      (
        .init(heading: "state", isText: true, style: "state"), { Self.state($0, notAsked: notAsked[$0.name]) }
      ),
      (
        .init(heading: "last contact", isText: true, style: "contact"),
        { Wording.time($0.lastContact, .ago) }
      ),
      (.init(heading: "progress", isText: true, style: "steps"), Self.progress),
      (.init(heading: "memory", style: "size"), { Wording.bytes($0.residentBytes) }),
      (.init(heading: "rejected"), { "\($0.rejected)" }),
      (.init(heading: "admitted"), { "\($0.admitted)" }),
    ]
    let shown = overview.latestClients
    let others = overview.clients.count - shown.count
    let more = Wording.count(others, "more client")
    let note = others > 0 ? "<p class=\"muted\">Not shown: \(more) with an earlier last contact.</p>" : ""
    return """
      <p class="find" id="find" hidden=""><label>Find a client <input type="search" id="wanted" \
      autocomplete="off"/></label> <span class="muted" id="found" role="status"></span></p>
      \(table(shown, columns + figures).html("Clients", live: "clients", isBox: true, isSortable: true))
      <div id="otherClients" data-live="">\(note)</div>
      """
  }

  /// The final state of all clients.
  var whole: String {
    let columns: [Column] = [
      (.init(heading: "admitted"), { "\($0.admitted)" }), (.init(heading: "rejected"), { "\($0.rejected)" }),
    ]
    let then: Column = (.init(heading: "last contact", isText: true), { Wording.time($0.lastContact) })
    return table(overview.clients, columns + figures + [then]).html("Clients")
  }

  private var figures: [Column] {
    [
      (.init(heading: "samples"), { "\($0.samples)" }),
      (.init(heading: "received", style: "size"), { Wording.bytes($0.receivedBytes) }),
      (.init(heading: "sent", style: "size"), { Wording.bytes($0.sentBytes) }),
    ] + validations + [(.init(heading: "software", isText: true), { Markup.escape($0.software) })]
  }

  /// The last validations of the clients, where there may be any: the headings of an open page stay as they are.
  private var validations: [Column] {
    guard overview.objective == ObjectiveKind.classification.rawValue else { return [] }
    return [
      (.init(heading: "validation"), { Wording.share($0.validation?.accuracy) }),
      (.init(heading: "majority"), { Wording.share($0.validation?.majorityBaseline) }),
      (.init(heading: "validation samples"), { $0.validation.map { "\($0.images)" } ?? Wording.none }),
    ]
  }

  private func table(_ clients: [Overview.Client], _ columns: [Column]) -> OverviewTable {
    OverviewTable(
      columns: columns.map(\.0), first: "client",
      rows: clients.map { client in (client.name, columns.map { $0.1(client) }) },
      none: overview.isOver ? "No client has joined." : "No client has joined yet.")
  }

  /// Returns the activity of a client or, if it is connected but not asked to train, the reason.
  private static func state(_ client: Overview.Client, notAsked: String?) -> String {
    guard client.isConnected else { return "offline" }
    if let notAsked { return "<span title=\"\(Markup.escape(notAsked))\">not asked</span>" }
    return client.activity?.rawValue ?? "connected"
  }

  /// Returns the progress of the activity.
  private static func progress(_ client: Overview.Client) -> String {
    if let step = client.step, let steps = client.steps, steps > 0 {
      return bar(step, of: steps, ["step", "\(step)", "of", "\(steps)"])
    }
    if let bytes = client.updateBytes, let here = client.updateReceivedBytes, bytes > 0 {
      return bar(here, of: bytes, [Wording.bytes(here), "of", Wording.bytes(bytes)])
    }
    return Wording.none
  }

  private static func bar(_ part: Int, of whole: Int, _ words: [String]) -> String {
    LayerStack.bar(part, of: whole, style: "bar") + words.joined(separator: Wording.space)
  }
}
