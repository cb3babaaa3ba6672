import Engine
import Federation
import Foundation
import GRDB
import PageChecks
import Server
import TestSupport
import Testing
import Watch

/// Analyses of layers on pages, in JSON and in metrics.
@Suite struct LayerSectionTests {
  private static let picture = """
    {"points": [[1, 2], [-3, 4.5]], "explained": [0.5, 0.25], "labels": [0, 1], "classNames": ["cat <1>", "dog"]}
    """

  /// A made run with analyses after both of its rounds.
  private func withAnalyses(_ body: (MadeRun) throws -> Void) async throws {
    try await withMadeRun { run in
      let store = try Store(run.path)
      for (index, (_, round)) in try store.committedRounds().enumerated() {
        var metrics = RoundMetrics()
        metrics[.analysisSamples] = 24
        metrics[.hsicInput, layer: "blocks.0"] = Double(10 + index)
        metrics[.hsicLabel, layer: "blocks.0"] = Double(1 + index)
        metrics[.renyiPair, layer: "input~blocks.0"] = 2.5
        metrics[.renyiPair, layer: "input~input"] = 3
        try store.note(metrics, of: round)
        let picture = try JSONDecoder().decode(RepresentationPicture.self, from: Data(Self.picture.utf8))
        try store.note(picture, of: round)
      }
      store.close()
      try body(run)
    }
  }

  @Test func pagesHaveTheFigures() async throws {
    try await withAnalyses { run in
      let overview = try run.overview
      for html in [ReportPage(overview, plan: "").html, StatusPage(overview).html] {
        let found = try MarkupCheck.parse(html)
        for style in ["plot plane", "plot scatter"] {
          #expect(found.elements.count { $0.attributes["class"] == style } == 1, "\(style)")
        }
        for text in [
          "What each layer knows", "On 24 test samples.", "layer 1, round 2: 11, 2", "cat <1>",
          "Representations after stage 1, round 2", "bits after stage 1, round 2",
        ] {
          #expect(found.text.contains(text), "\(text)")
        }
        #expect(found.elements.contains { $0.attributes["title"] == "input, layer 1: 2.5000" })
        // The policy of the status page forbids styles of elements.
        #expect(!found.elements.contains { $0.attributes["style"] != nil })
      }
      #expect(overview.picture?.representations.points.count == 2 && overview.picture?.round == 2)
      let data = try JSONEncoder().encode(overview)
      #expect(try JSONDecoder().decode(Overview.self, from: data).picture == overview.picture)
      let metrics = Metrics(overview, ProcessUse(residentBytes: 1, seconds: 1)).text
      for line in [
        "strata_last_round_hsic_input{layer=\"blocks.0\"} 11", "strata_last_round_analysis_samples 24",
        "strata_last_round_renyi_pair{layer=\"input~blocks.0\"} 2.5",
      ] {
        #expect(metrics.contains("\(line)\n"), "\(line)")
      }
    }
  }

  @Test func withoutAnalysesThereIsNoSection() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      #expect(overview.picture == nil)
      #expect(!ReportPage(overview, plan: "").html.contains("What each layer knows"))
    }
  }

  /// What is not a picture is a damaged database.
  @Test(arguments: [
    "'{}'", "'[1'", "X'00FF'", "12", "'{\"points\": [[1]], \"explained\": [0, 0]}'",
    "'{\"points\": [[1, 1e999]], \"explained\": [0, 0]}'",
  ])
  func aDamagedPictureIsSaid(value: String) async throws {
    try await withAnalyses { run in
      try DatabaseQueue(path: run.path).write {
        try $0.execute(sql: "UPDATE pictures SET picture = \(value)")
      }
      let error = #expect(throws: StoreError.self) { _ = try run.recorded }
      #expect(error?.description.hasPrefix(run.path) == true && error?.description.contains("\n") == false)
    }
  }

  /// A database of an earlier version has no table of pictures.
  @Test func anEarlierDatabaseHasNone() async throws {
    try await withAnalyses { run in
      try DatabaseQueue(path: run.path).write { try $0.execute(sql: "DROP TABLE pictures") }
      #expect(try run.overview.picture == nil)
    }
  }
}
