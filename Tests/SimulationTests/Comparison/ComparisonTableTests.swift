import Foundation
import Simulation
import Testing

@Suite struct ComparisonTableTests {
  /// Returns the cells of a line by heading.
  private func cells(_ table: ComparisonTable, _ label: String) throws -> [String: String] {
    let line = try #require(table.lines.first { $0.label == label })
    return Dictionary(uniqueKeysWithValues: zip(table.headings, line.cells))
  }

  @Test func meansAndDeviationsOverSeeds() throws {
    let table = ComparisonTable.figures(of: try MadeComparison.whole())
    let layerWise = try cells(table, "layer-wise, simclr")
    #expect(layerWise["linear probe %"] == "42.0 ± 2.8")
    // Two rounds per run.
    #expect(layerWise["time s"] == "2.50 ± 0.71")
    // Memory is measured once; the stage with the maximum counts.
    #expect(layerWise["memory MB"] == "40.0")
    #expect(layerWise["upload MB"] == "1.00 ± 0.00" && layerWise["download MB"] == "2.00 ± 0.00")
    #expect(try cells(table, "end-to-end, simclr")["memory MB"] == "160.0")
    #expect(!table.headings.contains { $0.hasPrefix("k-NN") || $0.hasPrefix("fine-tuned") }, "nobody has one")
  }

  @Test func rowsBesideEndToEnd() throws {
    let report = try MadeComparison.whole()
    let layerWise = report.rows[0]
    #expect(layerWise.against == "end-to-end, simclr")
    #expect(layerWise.comparisons[.memory]?.ratio?.mean == 0.25)
    #expect(layerWise.comparisons[.bytesUp]?.ratio?.mean == 0.25)
    #expect(layerWise.comparisons[.bytesDown]?.ratio?.mean == 1)
    // 0.40 - 0.50 and 0.44 - 0.55: the mean is -0.105, and the margin 12.7062 * 0.00707 / sqrt(2).
    let probe = try #require(layerWise.comparisons[.linearProbe])
    #expect(abs(probe.difference.mean + 0.105) < 1e-12)
    #expect(abs((probe.differenceMargin ?? 0) - 12.7062 * 0.005) < 1e-6)
    #expect(report.rows[1].comparisons.isEmpty && report.rows[1].against == nil)
    let table = try #require(ComparisonTable.comparisons(of: report))
    let cells = try cells(table, "layer-wise, simclr")
    #expect(cells["memory ratio"] == "0.25" && cells["upload ratio"] == "0.25 ± 0.00")
    #expect(cells["linear probe points"] == "-10.5 ± 6.4")
    // The baseline has one seed.
    #expect(try self.cells(table, "centralised, simclr")["linear probe points"] == "+10.0 (one seed)")
    #expect(!table.headings.contains { $0.hasPrefix("untrained") })
    #expect(
      ComparisonTable.text(of: report).contains("\nagainst end-to-end, simclr, mean over the seeds ± half"))
    let alone = MadeComparison.report([MadeComparison.row(.layerWise, [try MadeComparison.run(probe: 0.4)])])
    #expect(ComparisonTable.comparisons(of: alone) == nil, "there is nothing to hold it against")
    #expect(!ComparisonTable.text(of: alone).contains("against"))
  }

  @Test func valuesBySeed() throws {
    let report = try MadeComparison.whole()
    let table = try #require(ComparisonTable.bySeed(.linearProbe, of: report))
    #expect(table.headings == ["seed 7", "seed 8"])
    #expect(table.lines.map(\.cells) == [["40.0", "44.0"], ["50.0", "55.0"], ["60.0", "–"]])
    #expect(ComparisonTable.text(of: report).contains("\nlinear probe, % by seed\n\n"))
    #expect(ComparisonTable.bySeed(.accuracy, of: report) == nil)
  }

  /// The centralised baseline has no traffic, and failures are listed.
  @Test func theBaselineAndFailures() throws {
    let report = try MadeComparison.whole()
    let baseline = try cells(.figures(of: report), "centralised, simclr (1 of 2 seeds)")
    #expect(baseline["upload MB"] == "–" && baseline["download MB"] == "–")
    #expect(baseline["linear probe %"] == "60.0")
    let text = ComparisonTable.text(of: report)
    #expect(text.contains("centralised-simclr-8: given <up> & over (exit code 8)"))
    let failed = MadeComparison.report([
      MadeComparison.row(.progressive, [], failures: [.init(name: "a", code: -9, reason: "b")])
    ])
    #expect(ComparisonTable.figures(of: failed).lines.map(\.label) == ["progressive, simclr (failed)"])
  }

  /// The evaluation of a run takes precedence over its linear probe.
  @Test func anEvaluationGoesBeforeTheProbe() throws {
    let untrained = #""untrained": {"linearProbe": 0.3, "nearestNeighbours": 0.2}"#
    let whole = """
      {"trained": {"linearProbe": 0.7, "nearestNeighbours": 0.6, "fineTuned": 0.8}, \(untrained)}
      """
    let row = MadeComparison.row(.layerWise, [try MadeComparison.run(probe: 0.4, evaluation: whole)])
    let table = ComparisonTable.figures(of: MadeComparison.report(seeds: [7], [row]))
    let line = try cells(table, "layer-wise, simclr")
    #expect(line["linear probe %"] == "70.0" && line["k-NN %"] == "60.0" && line["fine-tuned %"] == "80.0")
    #expect(row.figures[.untrainedProbe]?.mean == 0.3)
    let short = """
      {"trained": {"linearProbe": 0.7, "nearestNeighbours": 0.6}, \(untrained)}
      """
    let other = MadeComparison.row(.layerWise, [try MadeComparison.run(probe: 0.4, evaluation: short)])
    #expect(other.figures[.fineTuned] == nil && other.figures[.nearestNeighbours]?.mean == 0.6)
  }

  @Test func aCollapsedEncoderIsSaid() throws {
    let runs = [
      try MadeComparison.run(probe: 0.1, collapsed: true),
      try MadeComparison.run(probe: 0.4),
    ]
    let both = MadeComparison.report([MadeComparison.row(.layerWise, runs)])
    #expect(ComparisonTable.figures(of: both).lines.map(\.label) == ["layer-wise, simclr (1 collapsed)"])
    let one = MadeComparison.report(seeds: [7], [MadeComparison.row(.layerWise, [runs[0]])])
    #expect(ComparisonTable.figures(of: one).lines.map(\.label) == ["layer-wise, simclr (collapsed)"])
  }

  @Test func columnsStandUnderTheirHeadings() throws {
    let text = ComparisonTable.figures(of: try MadeComparison.whole()).text()
    let lines = text.split(separator: "\n")
    #expect(lines.count == 4 && Set(lines.map(\.count)).count == 1, "\(text)")
    #expect(!text.contains(" \n"))
  }

  /// Every figure appears in full below its heading, in several tables.
  @Test(arguments: [100, 80, 60]) func aNarrowTerminalGetsSeveralTables(columns: Int) throws {
    let report = try MadeComparison.whole()
    let table = ComparisonTable.figures(of: report)
    let text = table.text(columns: columns)
    #expect(text.split(separator: "\n").allSatisfy { $0.count < columns }, "\(text)")
    let parts = text.components(separatedBy: "\n\n")
    #expect(parts.count > 1 && parts.allSatisfy { $0.contains("layer-wise, simclr") }, "\(text)")
    for heading in table.headings { #expect(text.components(separatedBy: heading).count == 2, "\(heading)") }
    for cell in table.lines.flatMap(\.cells) { #expect(text.contains(cell), "\(cell)") }
    let notes = ComparisonTable.text(of: report, columns: columns).components(separatedBy: "\nMemory: ")
    #expect(notes.count == 2 && notes[1].split(separator: "\n").allSatisfy { $0.count < columns })
  }

  @Test func meansByRound() throws {
    let runs = [
      try MadeComparison.run(probe: 0.4, losses: [2, 1]), try MadeComparison.run(probe: 0.6, losses: [4, 2]),
    ]
    let row = MadeComparison.row(.layerWise, runs, peaks: [10, 20])
    #expect(row.rounds.map(\.loss) == [3, 1.5])
    #expect(row.rounds.map(\.stage) == [1, 2] && row.rounds.map(\.memoryBytes) == [10, 20])
    #expect(row.probes.count == 1 && abs(row.probes[0].linearProbe - 0.25) < 1e-12)
  }

  @Test func jsonNamesWhatItHolds() throws {
    let report = try MadeComparison.whole()
    let data = Data(try report.json().utf8)
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let row = try #require((object["rows"] as? [[String: Any]])?.first)
    let variant = try #require(row["variant"] as? [String: Any])
    #expect(variant["strategy"] as? String == "layer-wise" && variant["objective"] as? String == "simclr")
    #expect((variant["settings"] as? [Any])?.isEmpty == true)
    #expect((row["values"] as? [String: [Double?]])?["linearProbe"] == [0.40, 0.44])
    let figures = try #require(row["figures"] as? [String: [String: Double]])
    let costs: Set = ["memoryBytes", "operations", "bytesUp", "bytesDown", "seconds"]
    #expect(Set(figures.keys) == costs.union(["linearProbe", "untrainedProbe"]))
    #expect(abs((figures["linearProbe"]?["mean"] ?? 0) - 0.42) < 1e-12)
    let decoded = try JSONDecoder().decode(ComparisonReport.self, from: data)
    #expect(try decoded.json() == report.json())
  }
}
