import Foundation
import PageChecks
import Simulation
import Testing

@Suite struct ComparisonPageTests {
  @Test func itIsWellFormedAndNeedsNothingElse() throws {
    let html = ComparisonPage(try MadeComparison.whole()).html
    let found = try MarkupCheck.parse(html)
    #expect(found.count("svg") == 6 && found.count("table") == 4 && found.count("details") == 2)
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

  /// Two seeds of two strategies: the figures have the means, and the same axes.
  @Test func whatLayersKnowIsShownSideBySide() throws {
    func run(_ value: Double) throws -> Summary {
      let analysis = """
        {"samples": 20, "rounds": [
          {"stage": 1, "round": 1, "layers": {"blocks.0": {"hsicInput": \(value), "hsicLabel": 1}}},
          {"stage": 1, "round": 2, "layers": {"blocks.0": {"hsicInput": \(value), "hsicLabel": 2},
            "blocks.1": {"hsicInput": 3, "hsicLabel": 3}, "input~blocks.0": {"renyiPair": \(value)}}}],
         "representations": {"points": [[1, 2], [3, 4]], "explained": [0.5, 0.25], "labels": [0, 1],
           "classNames": ["cat <1>", "dog"]}}
        """
      return try MadeComparison.run(probe: 0.4, stages: [1, 1], analysis: analysis)
    }
    let rows = try [ComparisonVariant.Training.layerWise, .endToEnd].map {
      MadeComparison.row($0, [try run(10), try run(30)])
    }
    let report = MadeComparison.report(rows)
    let html = ComparisonPage(report).html
    let found = try MarkupCheck.parse(html)
    let planes = found.elements.filter { $0.attributes["class"] == "plot plane" }
    #expect(planes.count == 2 && found.elements.count { $0.attributes["class"] == "plot scatter" } == 2)
    for text in [
      "What each layer knows", "On 20 test samples. Means of 2 seeds", "nHSIC: layer-wise, simclr",
      "layer 1, round 2: 20, 2", "layer 2, round 2: 3, 3", "cat <1>", "component 1, 50.0 % of the variance",
    ] {
      #expect(found.text.contains(text), "\(text)")
    }
    #expect(found.elements.contains { $0.attributes["title"] == "input, layer 1: 20.0000" })
    let data = Data(try report.json().utf8)
    #expect(try JSONDecoder().decode(ComparisonReport.self, from: data).rows[0].analysis == rows[0].analysis)
    #expect(!ComparisonPage(try MadeComparison.whole()).html.contains("What each layer knows"))
  }
}
