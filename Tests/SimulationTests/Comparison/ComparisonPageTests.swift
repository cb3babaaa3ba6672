import Foundation
import PageChecks
import Simulation
import Testing

@Suite struct ComparisonPageTests {
  @Test func itIsWellFormedAndNeedsNothingElse() throws {
    let html = ComparisonPage(try MadeComparison.whole()).html
    let found = try MarkupCheck.parse(html)
    #expect(found.count("svg") == 5 && found.count("table") == 2 && found.count("details") == 1)
    for word in ["http:", "https:", "src=", "url(", "@import", "<script", "<link"] {
      #expect(!html.contains(word), "\(word)")
    }
    #expect(html.contains("prefers-color-scheme: dark") && html.contains("width=device-width"))
    for text in ["fedsim compare plan.yaml", "name: \"tiny\"", "42.0 ± 2.8", "stage 2", "centralised"] {
      #expect(found.text.contains(text), "\(text)")
    }
  }

  @Test func whatAUserWroteIsEscaped() throws {
    let name = "</title><script>alert('&')</script>"
    var report = try MadeComparison.whole(name: name)
    var found = try MarkupCheck.parse(ComparisonPage(report).html)
    #expect(found.count("script") == 0 && found.text.contains(name))
    #expect(found.text.contains("given <up> & over"), "the reason of a failure")
    report = MadeComparison.report(command: "fedsim compare '<b>&\u{1B}'", [])
    found = try MarkupCheck.parse(ComparisonPage(report).html)
    #expect(found.count("b") == 0 && found.text.contains("'<b>&\u{FFFD}'"))
  }

  @Test func aComparisonOfWhichEverythingFailed() throws {
    let row = MadeComparison.row(
      .layerWise, [], failures: [.init(name: "layer-wise-simclr-7", code: 8, reason: "given up")])
    let found = try MarkupCheck.parse(ComparisonPage(MadeComparison.report([row])).html)
    #expect(found.count("svg") == 0 && found.text.contains("layer-wise-simclr-7: given up"))
  }
}
