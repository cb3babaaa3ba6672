import Federation
import Foundation
import Pages
import Server

/// The parts that the page of a run under way and the report of a whole one share.
struct OverviewParts {
  let overview: Overview

  /// What the server does, in a sentence.
  var doing: String {
    let status = overview.status
    let isOver = [.finished, .stopped, .failed].contains(status.phase)
    let gone = overview.isRunning || isOver ? "" : " But the server does not run."
    return "<p class=\"doing\"><strong>\(Markup.escape(Self.sentence(status.place)))</strong> "
      + "\(Markup.escape(Self.sentence(status.doing)))\(gone)</p>"
  }

  var stack: String { LayerStack(layers: overview.layers).html }
  var plots: String { RoundPlots(overview: overview).html }

  /// - Parameter isRelative: whether times become how long ago they were.
  func facts(isRelative: Bool) -> String {
    let status = overview.status
    let connected = overview.clients.count(where: \.isConnected)
    let last = overview.rounds.last
    var facts: [(String, String)] = [
      ("Rounds", "\(overview.rounds.count) of \(overview.plannedRounds)"),
      ("Last loss", Wording.number(last?.loss)),
      (
        "Collapse",
        last?.monitors.map { $0.isCollapsed ? "<strong>representations collapse</strong>" : "none" }
          ?? Wording.none
      ),
      ("Rounds given up", "\(overview.abandoned)"),
      ("Updates", "\(overview.updatesAdmitted) admitted, \(overview.refusals.values.reduce(0, +)) refused"),
      ("Traffic", "\(Wording.bytes(total(\.receivedBytes))) up, \(Wording.bytes(total(\.sentBytes))) down"),
    ]
    if isRelative {
      facts.insert(("Clients", "\(connected) of \(overview.clients.count) connected"), at: 1)
      facts.append(("Since", Wording.time(status.since, isRelative: true)))
      if let until = status.until, overview.isRunning {
        facts.append(("Until", Wording.time(until, isRelative: true)))
      }
      facts.append(("Memory of the server", Wording.bytes(overview.residentBytes)))
    } else {
      facts.append(("Clients", "\(overview.clients.count)"))
      facts.append(("Time in rounds", Wording.seconds(overview.rounds.compactMap(\.seconds).reduce(0, +))))
    }
    facts.append(("Started", Wording.time(overview.startedAt)))
    if let finished = overview.finishedAt { facts.append(("Finished", Wording.time(finished))) }
    let items = facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" }
    return "<dl class=\"facts\">\n\(items.joined(separator: "\n"))\n</dl>"
  }

  /// - Parameter live: whether they are shown as they are now, by rows that change.
  func clients(isLive: Bool) -> String {
    let shown = overview.latestClients
    let now: [(OverviewTable.Column, (Overview.Client) -> String)] = [
      (.init(heading: "state", isText: true), { $0.isConnected ? "connected" : "away" }),
      (.init(heading: "last contact", isText: true), { Wording.time($0.lastContact, isRelative: true) }),
      (.init(heading: "training", isText: true), Self.progress),
      (.init(heading: "memory"), { Wording.bytes($0.residentBytes) }),
    ]
    let always: [(OverviewTable.Column, (Overview.Client) -> String)] = [
      (.init(heading: "images"), { "\($0.samples)" }),
      (.init(heading: "received"), { Wording.bytes($0.receivedBytes) }),
      (.init(heading: "sent"), { Wording.bytes($0.sentBytes) }),
      (.init(heading: "admitted"), { "\($0.admitted)" }),
      (.init(heading: "refused"), { "\($0.refused)" }),
      (.init(heading: "software", isText: true), { Markup.escape($0.software) }),
    ]
    let then = (
      OverviewTable.Column(heading: "last contact", isText: true),
      { (client: Overview.Client) in Wording.time(client.lastContact) }
    )
    let columns = isLive ? now + always : always + [then]
    let table = OverviewTable(
      columns: columns.map(\.0), first: "client",
      rows: shown.map { client in (Markup.escape(client.name), columns.map { $0.1(client) }) })
    let others = overview.clients.count - shown.count
    return table.html("Clients", live: isLive ? "clients" : nil)
      + (others > 0
        ? "\n<p class=\"muted\">\(others) more that were heard longer ago are not shown.</p>" : "")
  }

  /// The last rounds first, at most `count` of them.
  func rounds(_ count: Int, live: String? = nil) -> String {
    let columns = [
      "loss", "calibration", "alignment", "uniformity", "deviation", "rank", "probe", "clients", "images",
      "time",
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
            "\(round.clients)", "\(round.samples)",
            Wording.seconds(round.seconds),
          ]
        )
      })
    return table.html("Rounds", live: live)
  }

  var refusals: String {
    let found = overview.refusals.sorted { $0.key < $1.key }
    guard !found.isEmpty else { return "<p class=\"muted\">None.</p>" }
    let items = found.map { name, count in
      let why = Refusal(rawValue: name)?.explanation ?? name
      return "<li>\(count): \(Markup.escape(why))</li>"
    }
    return "<ul>\n\(items.joined(separator: "\n"))\n</ul>"
  }

  private func total(_ value: KeyPath<Overview.Client, Int>) -> Int {
    overview.clients.reduce(0) { $0 + $1[keyPath: value] }
  }

  private static func progress(_ client: Overview.Client) -> String {
    guard let step = client.step, let steps = client.steps, steps > 0 else { return Wording.none }
    return LayerStack.bar(step, of: steps, style: "bar") + "step \(step) of \(steps)"
  }

  private static func sentence(_ text: String) -> String {
    text.prefix(1).uppercased() + text.dropFirst() + "."
  }
}
