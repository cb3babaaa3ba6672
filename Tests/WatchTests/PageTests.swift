import Federation
import Foundation
import PageChecks
import Server
import Testing
import Watch

/// The status page and the report.
@Suite struct PageTests {
  private static let hostile = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;"

  @Test func bothAreWellFormedAndNeedNothingElse() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      for html in [StatusPage(overview).html, ReportPage(overview, plan: run.plan.yaml()).html] {
        let found = try MarkupCheck.parse(html)
        #expect(found.count("h1") == 1 && found.count("table") == 3 && found.count("ol") == 1)
        for word in ["http:", "https:", " src=", "url(", "@import", " style=", " onclick="] {
          #expect(!html.contains(word), "\(word)")
        }
        let plots = found.elements.filter { $0.name == "svg" && $0.attributes["role"] == "img" }
        #expect(plots.count == 7 && plots.allSatisfy { $0.attributes["aria-label"]?.isEmpty == false })
        let headings = found.elements.filter { $0.name == "th" }
        #expect(!headings.isEmpty && headings.allSatisfy { $0.attributes["scope"] != nil })
        let names = found.elements.compactMap { $0.attributes["id"] }
        #expect(Set(names).count == names.count)
      }
    }
  }

  @Test func theStackSaysWhatIsDone() async throws {
    try await withMadeRun { run in
      let found = try MarkupCheck.parse(StatusPage(try run.overview).html)
      let layers = found.elements.filter { $0.name == "li" }.compactMap { $0.attributes["class"] }
      #expect(layers == ["layer frozen", "layer frozen", "layer training"])
      let bars = found.elements.filter { $0.name == "rect" }.map { $0.attributes["width"] }
      #expect(bars == ["100.0", "100.0", "0.0"])
      #expect(found.text.contains("in training, 0 of 2\u{A0}rounds"))
    }
  }

  /// Names are text, and markup in them has no effect.
  @Test func aNameCannotBecomeMarkup() async throws {
    try await withMadeRun(named: Self.hostile, clients: ["device-1", Self.hostile]) { run in
      let overview = try run.overview
      let (page, report) = (StatusPage(overview).html, ReportPage(overview, plan: run.plan.yaml()).html)
      #expect(try MarkupCheck.parse(page).count("script") == 1, "the page's own")
      #expect(try MarkupCheck.parse(report).count("script") == 0)
      for html in [page, report] {
        let found = try MarkupCheck.parse(html)
        #expect(found.count("img") == 0 && found.text.contains(Self.hostile))
      }
    }
  }

  /// The policy permits only this script and this style.
  @Test func thePolicyNamesWhatIsInThePage() async throws {
    try await withMadeRun { run in
      let html = StatusPage(try run.overview).html
      #expect(!StatusPage.policy.contains("unsafe") && StatusPage.policy.hasPrefix("default-src 'none';"))
      for element in ["script", "style"] {
        let parts = html.components(separatedBy: "<\(element)>")
        #expect(parts.count == 2)
        let text = try #require(parts.last?.components(separatedBy: "</\(element)>").first)
        let hash = Digest(of: Data(text.utf8)).data.base64EncodedString()
        #expect(StatusPage.policy.contains("\(element)-src 'sha256-\(hash)'"))
      }
    }
  }

  @Test func aJobWithoutRoundsHasAPageToo() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      (overview.rounds, overview.clients, overview.rejections) = ([], [], [:])
      let found = try MarkupCheck.parse(StatusPage(overview).html)
      #expect(found.text.contains("No round is committed yet."))
      #expect(found.text.contains("No client has joined yet."))
      // After the end nothing is "yet" to come.
      overview.status.phase = .failed
      let report = try MarkupCheck.parse(ReportPage(overview, plan: "").html)
      #expect(
        report.text.contains("No round was committed.") && report.text.contains("No client has joined."))
      #expect(!report.text.contains("yet") && !report.text.contains("in training"))
    }
  }

  /// A connected client that is not asked has its reason.
  @Test func whoIsNotAskedIsSaidToBeSo() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      overview.clients[0].connection = true
      overview.clients[1].connection = true
      overview.status.notAsked = [
        ServerStatus.Silence(client: "device-1", reason: "its updates were <rejected>", rounds: 1)
      ]
      let found = try MarkupCheck.parse(StatusPage(overview).html)
      let titles = found.elements.compactMap { $0.attributes["title"] }
      #expect(titles.contains("its updates were <rejected>; asked again after 1 round"))
      #expect(found.text.contains("not asked"))
      #expect(Metrics(overview, ProcessUse.now).text.contains("\nstrata_clients_not_asked 1\n"))
    }
  }

  /// The outcome of a job is shown, and the reason of a failure.
  @Test func everyEndHasItsHeadline() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      overview.status.until = Date(timeIntervalSince1970: 1_790_000_500)
      #expect(StatusPage(overview).html.contains("data-over=\"no\""))
      #expect(try MarkupCheck.parse(StatusPage(overview).html).text.contains("Latest end of this phase"))
      (overview.status.stage, overview.status.round, overview.status.attempt) = (1, 2, 1)
      for (phase, words) in [
        (ServerStatus.Phase.finished, "Finished The job is done."),
        (.failed, "Given up Stage 1 of 2, round 2 of 2: made up."),
        (.stopped, "Stopped Stage 1 of 2, round 2 of 2; the job continues when the server is started again."),
      ] {
        overview.status.phase = phase
        for html in [StatusPage(overview).html, ReportPage(overview, plan: "").html] {
          let found = try MarkupCheck.parse(html)
          #expect(found.text.contains(words), "\(phase)")
          #expect(!found.text.contains("Latest end") && !found.text.contains("in training"))
          #expect(found.elements.contains { $0.attributes["class"] == "state \(phase.rawValue)" })
        }
        #expect(StatusPage(overview).html.contains("data-over=\"yes\""))
      }
      overview.status.round = 1
      overview.status.phase = .failed
      #expect(overview.failure == nil, "that attempt is another")
    }
  }

  @Test func aCohortThatIsNotHereIsNotSaidToTrain() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      overview.status.phase = .training
      (overview.status.cohort, overview.status.admitted, overview.status.quorum) = (5, 2, 4)
      for (present, words) in [
        (0, "5 clients were asked to train, none is connected: 2 updates are admitted, 4 are needed."),
        (1, "5 clients were asked to train, one is connected: 2 updates are admitted, 4 are needed."),
        (3, "5 clients train: 2 updates are admitted, 4 are needed."),
      ] {
        overview.status.present = present
        #expect(try MarkupCheck.parse(StatusPage(overview).html).text.contains(words), "\(present)")
      }
    }
  }

  @Test func attemptsThatWereGivenUpSayWhy() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      for html in [StatusPage(overview).html, ReportPage(overview, plan: "").html] {
        #expect(html.contains("title=\"1, 2\">1, 2</th><td>1</td><td class=\"text reason\">made up</td>"))
      }
    }
  }

  /// The page has a limit; the report is complete.
  @Test func theReportListsEveryClient() async throws {
    let names = (0..<WebLimits.clients + 20).map { "device-\($0)" }
    try await withMadeRun { run in
      let overview = try run.overview.with(clients: names)
      let report = ReportPage(overview, plan: "").html
      for name in names { #expect(report.contains(">\(name)</th>"), "\(name)") }
      let page = StatusPage(overview).html
      #expect(page.components(separatedBy: ">device-").count - 1 == WebLimits.clients)
      #expect(try MarkupCheck.parse(page).text.contains("20\u{A0}more clients"))
    }
  }

  /// "device-2" precedes "device-10" in every list of clients.
  @Test func clientsStandInNaturalOrder() async throws {
    let names = ["device-10", "device-9", "device-1", "device-100"]
    let order = ["device-1", "device-9", "device-10", "device-100"]
    try await withMadeRun(clients: names) { run in
      let overview = try run.overview
      #expect(overview.clients.map(\.name) == order && overview.latestClients.map(\.name) == order)
      for html in [StatusPage(overview).html, ReportPage(overview, plan: "").html] {
        #expect(html.matches(of: />(device-\d+)<\/th>/).map { String($0.1) } == order)
      }
    }
  }

  /// The page can filter and sort many clients; without its script it has no controls that do not work.
  @Test func aThousandClientsCanBeSearchedAndSorted() async throws {
    try await withMadeRun { run in
      let html = StatusPage(try run.overview.with(clients: (1...1000).map { "device-\($0)" })).html
      let found = try MarkupCheck.parse(html)
      #expect(html.matches(of: /<th scope="row"[^>]*>device-/).count == 1000)
      let search = try #require(found.elements.first { $0.name == "input" })
      #expect(search.attributes["type"] == "search" && found.text.contains("Find a client"))
      #expect(found.elements.contains { $0.attributes["id"] == "find" && $0.attributes["hidden"] != nil })
      #expect(found.count("button") == 0, "those are the script's")
      #expect(html.contains("<table id=\"clientsTable\">"))
    }
  }

  /// The activities of clients are shown, and missing clients are named.
  @Test func whatClientsDoIsTold() async throws {
    try await withMadeRun(clients: ["device-1", "device-2", "device-3", "device-4"]) { run in
      let here = [
        ConnectedClient(name: "device-1", received: 0, sent: 0, silence: .zero, activity: .fetching),
        ConnectedClient(
          name: "device-2", received: 0, sent: 0, silence: .zero, activity: .training, step: 3, steps: 4),
        ConnectedClient(
          name: "device-3", received: 0, sent: 0, silence: .zero, activity: .sending,
          update: (bytes: 4_000_000, here: 1_000_000)),
      ]
      var overview = Overview(try run.recorded, run.plan, connected: here, at: Date())
      overview.status.phase = .training
      overview.status.awaited = [
        .init(client: "device-2", activity: .training, step: 3, steps: 4), .init(client: "device-4"),
      ]
      overview.status.awaitedCount = 7
      let html = StatusPage(overview).html
      let states = html.matches(of: /<td class="text state">([^<]*)<\/td>/).map { String($0.1) }
      #expect(states == ["fetching", "training", "sending", "offline"])
      let text = try MarkupCheck.parse(html).text
      #expect(text.contains("step\u{A0}3\u{A0}of\u{A0}4"))
      #expect(text.contains("1.00\u{A0}MB\u{A0}of\u{A0}4.00\u{A0}MB"))
      #expect(
        text.contains("Missing: device-2 (training, step 3 of 4), device-4 (not connected) and 5 more."))
      overview.status.phase = .recruiting
      overview.status.awaited = [.init(client: "device-4")]
      overview.status.awaitedCount = 1
      #expect(
        StatusPage(overview).html.contains("Missing clients of the last cohort: device-4 (not connected)."))
      overview.status.phase = .finished
      #expect(!StatusPage(overview).html.contains("missing:"))
      let metrics = Metrics(overview, ProcessUse.now).text
      #expect(metrics.contains("\nstrata_clients_active{activity=\"sending\"} 1\n"))
    }
  }

  /// The waiting time of a round is shown next to its duration.
  @Test func waitsAreShown() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      #expect(overview.rounds.map(\.waited) == [nil, 30.25])
      for html in [StatusPage(overview).html, ReportPage(overview, plan: "").html] {
        #expect(html.contains("<td>30.2\u{A0}s</td><td>12.5\u{A0}s</td>"))
      }
      let metrics = Metrics(overview, ProcessUse.now).text
      #expect(metrics.contains("\nstrata_round_wait_seconds_sum 30.25\nstrata_round_wait_seconds_count 1\n"))
      #expect(metrics.contains("\nstrata_last_round_wait_seconds 30.25\n"))
      overview.rounds[1].waited = nil
      #expect(!Metrics(overview, ProcessUse.now).text.contains("last_round_wait"))
    }
  }

  /// In print nothing scrolls or folds.
  @Test func onPaperNothingIsHidden() async throws {
    try await withMadeRun { run in
      let html = ReportPage(try run.overview, plan: run.plan.yaml()).html
      let details = try MarkupCheck.parse(html).elements.filter { $0.name == "details" }
      #expect(details.count == 1 && details.allSatisfy { $0.attributes["open"] != nil })
      let print = try #require(html.components(separatedBy: "@media print {").dropFirst().first)
      for rule in [".scroll, pre { overflow: visible; }", "tr, figure, .notes p { break-inside: avoid; }"] {
        #expect(print.contains(rule), "\(rule)")
      }
    }
  }

  /// An open page updates the job's name with everything else.
  @Test func whatANextJobChangesIsLive() async throws {
    try await withMadeRun { run in
      let found = try MarkupCheck.parse(StatusPage(try run.overview).html)
      let live = found.elements.filter { $0.attributes["data-live"] != nil }.compactMap {
        $0.attributes["id"]
      }
      let all = [
        "name", "now", "board", "confusion", "layers", "clients", "otherClients", "rounds", "abandonments",
        "rejections",
      ]
      #expect(live == all)
    }
  }

  /// A line break between "118" and "MB" would suggest another number.
  @Test func numbersKeepTheirUnits() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      for html in [StatusPage(overview).html, ReportPage(overview, plan: "").html] {
        #expect(try MarkupCheck.parse(html).text.firstMatch(of: /\d (s|%|[kMG]?B|UTC)\b/) == nil)
      }
    }
  }

  @Test func theFirstStagesPlotsEndWithIt() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      func borders() throws -> Int {
        try MarkupCheck.parse(StatusPage(overview).html).elements.count { $0.attributes["class"] == "border" }
      }
      #expect(try borders() == 7, "one between the two stages of each plot")
      overview.status.stage = 1
      #expect(try borders() == 0)
    }
  }

  @Test func theCaptionSaysWhatIsPlotted() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      #expect(
        StatusPage(overview).html.contains(
          "<figcaption>Mean loss of the clients, weighted by their samples.</figcaption>"))
      overview.rounds[0].calibrationLoss = 3
      let html = StatusPage(overview).html
      #expect(html.contains("Mean loss of the calibration on the server&#39;s own images.</figcaption>"))
      #expect(html.contains("calibration\u{A0} <tspan class=\"last\">3.000</tspan>"))
    }
  }
}
