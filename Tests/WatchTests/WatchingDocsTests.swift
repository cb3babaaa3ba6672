import Federation
import Foundation
import Testing
import Watch

/// docs/watching.md is the reference for dashboards.
@Suite struct WatchingDocsTests {
  private let text: String

  init() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    text = try String(
      contentsOf: root.deletingLastPathComponent().appending(path: "docs/watching.md"), encoding: .utf8)
  }

  @Test func everyMetricStandsThere() async throws {
    let documented = Set(text.matches(of: /`((?:strata|process)_[a-z0-9_]+)[`{]/).map { String($0.1) })
    try await withMadeRun { run in
      var overview = try run.overview
      // An overview with every optional value.
      for metric in Metric.all { overview.rounds[1].metrics[metric] = 1 }
      (overview.estimate.roundEnd, overview.estimate.jobEnd) = (Date(), Date())
      overview.clients[0].residentBytes = 1
      let metrics = Metrics(overview, ProcessUse(residentBytes: 1, seconds: 1, startedAt: Date())).text
      let names = Set(metrics.matches(of: /# TYPE (\S+)/).map { String($0.1) })
      #expect(documented == names)
    }
  }

  @Test func itsLimitsAreTheCodes() {
    #expect(text.contains("\(WebLimits.connections) connections are served at once"))
    #expect(
      text.contains("a connection has \(WebLimits.seconds) seconds, a request \(WebLimits.head >> 10) KiB"))
    #expect(
      text.contains("waits \(WebLimits.farewell.components.seconds) seconds at most")
        && text.contains("\(WebLimits.hastyFarewell.components.seconds) after a signal"))
    #expect(text.contains("At most \(WebLimits.clients) clients have lines of their own"))
  }
}
