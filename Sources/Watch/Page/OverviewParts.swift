import Federation
import Foundation
import Pages
import Server

/// The parts that the page of a run under way and the report of a whole one share.
struct OverviewParts {
  let overview: Overview

  var headline: String { Headline(overview: overview).html }
  /// Whom the server waits for, by name; nothing where it waits for nobody that it knows.
  var missing: String {
    guard overview.isRunning, let missing = overview.status.missing(naming: Self.mostMissing) else {
      return ""
    }
    return "<p class=\"missing\">\(Markup.escape(Wording.sentence(missing)))</p>"
  }

  /// Clients that are named in a sentence.
  private static let mostMissing = 8

  var method: String { Markup.escape("\(overview.strategy), \(overview.ssl)") }
  var stack: String { LayerStack(layers: overview.layers, isOver: overview.isOver).html }
  var plots: RoundPlots { RoundPlots(overview: overview) }
  var clients: ClientTable { ClientTable(overview: overview) }
  var rounds: RoundTables { RoundTables(overview: overview) }

  /// - Parameter isLive: whether they are of a server that may be at work.
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
      ("Attempts given up", "\(overview.abandoned)"),
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
        facts.append(("This phase ends at the latest", Wording.time(until, .until)))
      }
      if let end = overview.estimate.roundEnd {
        facts.append(("Round over, estimated", Wording.time(end, .until)))
      }
      if let end = overview.estimate.jobEnd {
        facts.append(("Job over, estimated", Wording.time(end, .until)))
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
