import Foundation
import Pages

/// The clients, a row each.
struct ClientTable {
  let overview: Overview

  private typealias Column = (OverviewTable.Column, (Overview.Client) -> String)

  /// As they are now, in rows that change: first what tells whether a client does its part. Of very many those that
  /// were heard last. A script sorts them and finds one by its name.
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
    let note = others > 0 ? "<p class=\"muted\">Not shown: \(more), heard longer ago.</p>" : ""
    return """
      <p class="find" id="find" hidden=""><label>Find a client <input type="search" id="wanted" \
      autocomplete="off"/></label> <span class="muted" id="found" role="status"></span></p>
      \(table(shown, columns + figures).html("Clients", live: "clients", isBox: true, isSortable: true))
      <div id="otherClients" data-live="">\(note)</div>
      """
  }

  /// All of them, as they were at the end.
  var whole: String {
    let columns: [Column] = [
      (.init(heading: "admitted"), { "\($0.admitted)" }), (.init(heading: "rejected"), { "\($0.rejected)" }),
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

  /// What it does and, where it is here and not asked to train, why.
  private static func state(_ client: Overview.Client, notAsked: String?) -> String {
    guard client.isConnected else { return "away" }
    if let notAsked { return "<span title=\"\(Markup.escape(notAsked))\">not asked</span>" }
    return client.activity?.rawValue ?? "connected"
  }

  /// How far it is with that.
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
