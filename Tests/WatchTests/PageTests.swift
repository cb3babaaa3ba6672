import Federation
import Foundation
import PageChecks
import Testing
import Watch

/// The page that is watched, and the report.
@Suite struct PageTests {
  private static let hostile = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;"

  @Test func bothAreWellFormedAndNeedNothingElse() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      for html in [StatusPage(overview).html, ReportPage(overview, plan: run.plan.yaml()).html] {
        let found = try MarkupCheck.parse(html)
        #expect(found.count("h1") == 1 && found.count("table") == 2 && found.count("ol") == 1)
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
      #expect(found.text.contains("in training, 0 of 2 rounds"))
    }
  }

  /// What names say is text, and its markup does nothing.
  @Test func aNameCannotBecomeMarkup() async throws {
    try await withMadeRun(named: Self.hostile, clients: ["box-1", Self.hostile]) { run in
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

  /// The policy allows this script and this style, and no other.
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
      (overview.rounds, overview.clients, overview.refusals) = ([], [], [:])
      let found = try MarkupCheck.parse(StatusPage(overview).html)
      #expect(found.text.contains("No round is committed yet."))
    }
  }
}
