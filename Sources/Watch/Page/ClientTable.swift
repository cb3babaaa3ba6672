import Foundation
import Pages

/// The clients, a row each.
struct ClientTable {
  let overview: Overview

  private typealias Column = (OverviewTable.Column, (Overview.Client) -> String)

  /// As they are now, in rows that change: first what tells whether a client does its part. Of very many those that
  /// were heard last.
  var live: String {
    let columns: [Column] = [
      (.init(heading: "state", isText: true), state),
      (
        .init(heading: "last contact", isText: true, style: "contact"),
        { Wording.time($0.lastContact, .ago) }
      ),
      (.init(heading: "training", isText: true, style: "steps"), Self.progress),
      (.init(heading: "memory", style: "size"), { Wording.bytes($0.residentBytes) }),
      (.init(heading: "refused"), { "\($0.refused)" }),
      (.init(heading: "admitted"), { "\($0.admitted)" }),
    ]
    let shown = overview.latestClients
    let others = overview.clients.count - shown.count
    let more = Wording.count(others, "more client")
    let note = others > 0 ? "<p class=\"muted\">Not shown: \(more), heard longer ago.</p>" : ""
    return table(shown, columns + figures).html("Clients", live: "clients", isBox: true)
      + "\n<div id=\"otherClients\" data-live=\"\">\(note)</div>"
  }

  /// All of them, as they were at the end.
  var whole: String {
    let columns: [Column] = [
      (.init(heading: "admitted"), { "\($0.admitted)" }), (.init(heading: "refused"), { "\($0.refused)" }),
    ]
    let then: Column = (.init(heading: "last contact", isText: true), { Wording.time($0.lastContact) })
    return table(overview.clients, columns + figures + [then]).html("Clients")
  }

  private var figures: [Column] {
    [
      (.init(heading: "images"), { "\($0.samples)" }),
      (.init(heading: "received", style: "size"), { Wording.bytes($0.receivedBytes) }),
      (.init(heading: "sent", style: "size"), { Wording.bytes($0.sentBytes) }),
      (.init(heading: "software", isText: true), { Markup.escape($0.software) }),
    ]
  }

  private func table(_ clients: [Overview.Client], _ columns: [Column]) -> OverviewTable {
    OverviewTable(
      columns: columns.map(\.0), first: "client",
      rows: clients.map { client in (client.name, columns.map { $0.1(client) }) },
      none: overview.isOver ? "No client has joined." : "No client has joined yet.")
  }

  /// Whether it is here and, where it is not asked to train, why.
  private func state(_ client: Overview.Client) -> String {
    guard client.isConnected else { return "away" }
    guard let silence = overview.status.notAsked?.first(where: { $0.client == client.name }) else {
      return "connected"
    }
    return "<span title=\"\(Markup.escape(silence.explanation))\">not asked</span>"
  }

  private static func progress(_ client: Overview.Client) -> String {
    guard let step = client.step, let steps = client.steps, steps > 0 else { return Wording.none }
    let words = ["step", "\(step)", "of", "\(steps)"].joined(separator: Wording.space)
    return LayerStack.bar(step, of: steps, style: "bar") + words
  }
}
