import Datasets
import Engine
import Foundation
import PageChecks
import Simulation
import TestSupport
import Testing

@Suite struct DepthSweepsTests {
  private func report(
    _ settings: DepthSweeps.Settings, rows: FeatureRows? = nil, threads: Int = 2
  ) throws -> SweepReport {
    var generated = GeneratedRows()
    generated.spread = 4
    return try DepthSweeps(settings, rows ?? generated.rows(40, role: .train)).run(
      data: "regression:40?spread=4", command: "fedsim sweeps", workers: Workers(threads))
  }

  @Test func deeperNetworksLeaveLessAfterASweep() throws {
    let settings = DepthSweeps.Settings(depths: [1, 3, 10], sweeps: 4, starts: 5, seed: 3)
    let report = try report(settings)
    let left = try report.depths.map { try #require($0.left) }
    #expect(left.allSatisfy { $0.count == 5 && $0[0] == 1 }, "seed 3")
    #expect(left[0][1] > left[1][1] && left[1][1] > left[2][1], "seed 3: \(left)")
    for depth in report.depths {
      #expect(zip(depth.losses, depth.losses.dropFirst()).allSatisfy { $0 > $1 }, "seed 3")
    }
    let least = try #require(report.leastSquares)
    #expect(report.depths.allSatisfy { $0.losses[4] > least })
  }

  /// The values are those of the starts at one place, and do not depend on the threads.
  @Test func aValueIsTheMedianOfTheStarts() throws {
    let settings = DepthSweeps.Settings(
      depths: [2], width: 9, sweeps: 2, order: .descending, start: .gaussian, starts: 3, seed: 7)
    let (report, other) = (try report(settings), try self.report(settings, threads: 1))
    #expect(report.depths[0].losses == other.depths[0].losses)
    var generated = GeneratedRows()
    generated.spread = 4
    let rows = RowStatistics(generated.rows(40, role: .train), workers: Workers(1))
    let losses = (0..<3).map { start in
      let network = DeepLinearNetwork(DeepLinearShape(inputs: 8, outputs: 5, width: 9, depth: 2))
      network.draw(.gaussian, seed: 7 + UInt64(start))
      for _ in 0..<2 { network.sweep(.descending, on: rows) }
      return network.loss(rows) / 40
    }
    #expect(abs(report.depths[0].losses[2] / losses.sorted()[1] - 1) < 1e-12, "seed 7")
  }

  @Test func theTrafficIsThatOfASweepAfterTheFirst() throws {
    let report = try report(DepthSweeps.Settings(depths: [3], width: 10, sweeps: 1, starts: 1))
    // 8 x 10, 10 x 10 and 10 x 5 numbers, with second moments of 8, 10 and 10 inputs.
    let (matrices, moments) = (80 + 100 + 50, 36 + 55 + 55)
    let traffic = report.depths[0].traffic
    #expect(traffic.moments == 8 * (matrices + moments) + 8 * matrices)
    // The summed gradient also goes down, with the number of its rows, and again when its size changes, as here.
    #expect(traffic.exchange == 8 * (matrices + 3) + 8 * matrices + 2 * 8 * (matrices + 3))
    #expect(traffic.weights == 2 * 8 * matrices)
  }

  @Test func thePageTheTableAndTheFileHaveEveryDepth() throws {
    let report = try report(DepthSweeps.Settings(depths: [1, 2, 5], sweeps: 12, starts: 2))
    let found = try MarkupCheck.parse(SweepPage(report).html)
    #expect(found.count("svg") == 2 && found.count("table") == 1)
    for text in ["depth 1", "depth 2", "depth 5", "Loss left", "update", "left after 12"] {
      #expect(found.text.contains(text), "\(text)")
    }
    #expect(report.shownSweeps == [1, 2, 5, 10, 12])
    #expect(report.table.contains("left after sweep") && report.table.split(separator: "\n").count == 7)
    let lines = report.csv.split(separator: "\n")
    #expect(lines.count == 1 + 3 * 13 && lines[0] == "depth,sweep,updates,loss,left")
    #expect(lines.last?.hasPrefix("5,12,60,") == true)
    try withTemporaryFolder { folder in
      try report.write(to: folder)
      let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      #expect(files == ["sweeps.csv", "sweeps.html", "sweeps.json"])
      let json = try Data(contentsOf: folder.appendingPathComponent("sweeps.json"))
      #expect(try JSONDecoder().decode(SweepReport.self, from: json).depths.count == 3)
    }
  }

  /// Linearly dependent inputs have no unique solution of least squares; the loss is shown instead.
  @Test func dependentInputsShowTheLoss() throws {
    let rows = FeatureRows(
      inputs: (0..<20).flatMap { [Double($0), 0] }, count: 2,
      targets: (0..<20).map { 3 * Double($0) }, count: 1)
    let report = try report(DepthSweeps.Settings(depths: [1, 2], sweeps: 2, starts: 1), rows: rows)
    #expect(report.leastSquares == nil && report.depths.allSatisfy { $0.left == nil })
    #expect(report.table.contains("linearly dependent") && report.table.contains("loss after sweep"))
    let found = try MarkupCheck.parse(SweepPage(report).html)
    #expect(found.count("svg") == 2 && !found.text.contains("Loss left"))
    #expect(report.csv.split(separator: "\n")[1].hasSuffix(","))
  }
}
