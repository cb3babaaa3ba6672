import Foundation
import TestSupport
import Testing

/// `fedclient classify` and `fedclient embed` with models of nodes and rows.
@Suite(.unhurried) struct NodeInferenceTests {
  private static let graph = "sbm:300?features=20"

  /// Runs a federation, and passes its model and summary.
  private func withRun(
    _ plan: String, _ data: String,
    _ body: (_ model: String, _ summary: [String: Any], _ folder: URL) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      try Data(plan.utf8).write(to: folder.appendingPathComponent("plan.yaml"))
      let run = try await Command.run(
        "fedsim", "run", folder.path("plan.yaml"), "--clients", "2", "--data", data, "--test-data", data,
        "--out", folder.path("out"))
      #expect(run.code == 0, "\(run)")
      let summary = try Data(contentsOf: folder.appendingPathComponent("out/summary.json"))
      let object = try #require(try JSONSerialization.jsonObject(with: summary) as? [String: Any])
      try await body(folder.path("out/encoder.safetensors"), object, folder)
    }
  }

  private func array(_ path: String, columns: Int) throws -> [[Float]] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let start = 10 + Int(data[8]) + 256 * Int(data[9])
    let rows = (data.count - start) / 4 / columns
    let header = String(decoding: data[10..<start], as: UTF8.self)
    #expect(header.contains("'shape': (\(rows), \(columns)), }"), "\(header)")
    return data[start...].withUnsafeBytes { bytes in
      (0..<rows).map { row in
        (0..<columns).map {
          bytes.loadUnaligned(fromByteOffset: 4 * (row * columns + $0), as: Float.self)
        }
      }
    }
  }

  private static let classification = """
    encoder: {family: gcn, features: 20, width: 8, depth: 2}
    method: {objective: classification, classification: {classes: 7}, roundsPerStage: 2}
    local: {epochs: 10, batch: 32, learningRate: 8e-2}
    round: {cohort: 2}
    """

  /// The accuracies are those of the run's last exit and of its early exits.
  @Test func nodesAreClassified() async throws {
    try await withRun(Self.classification, Self.graph) { model, summary, folder in
      let exits = try #require(summary["exits"] as? [String: Any])
      let reports = try #require(exits["exits"] as? [[String: Any]])
      let last = try #require((reports.last?["report"] as? [String: Any])?["accuracy"] as? Double)
      let early = try #require((exits["early"] as? [String: Any])?["accuracy"] as? Double)
      for (options, expected) in [([], last), (["--confidence", "0.9"], early)] {
        let outcome = try await Command(
          "fedclient", ["classify", "--model", model, "--data", Self.graph, "--format", "json"] + options
        ).outcome()
        #expect(outcome.code == 0, "\(outcome)")
        let result = try #require(
          try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let (nodes, figures) = (result["nodes"] as? [[String: Any]], result["summary"] as? [String: Any])
        #expect(nodes?.map { $0["node"] as? String } == (0..<300).map { "\($0)" })
        #expect(figures?["nodes"] as? Int == 300 && figures?["accuracy"] as? Double == expected, "\(options)")
        #expect(outcome.errors.contains("300 nodes; ") && outcome.errors.contains("accumulates a node; "))
      }
      let csv = try await Command.run(
        "fedclient", "classify", "--model", model, "--data", Self.graph, "--format", "csv")
      #expect(
        csv.output.hasPrefix("node,class,confidence,exit\n0,") && csv.output.count { $0 == "\n" } == 301)
      let other = try await Command.run("fedclient", "classify", "--model", model, "--data", "sbm:300")
      #expect(
        other.code == 3
          && other.errors
            == "fedclient: the data are nodes of 100 features, and the encoder takes nodes of 20\n",
        "\(other)")
    }
  }

  /// Rows follow the order of the nodes: with a graph of two parts that are alike, so are the rows.
  @Test func nodesAreRepresented() async throws {
    try await withRun(Self.classification, Self.graph) { model, _, folder in
      let edges = [(0, 1), (1, 2)]
      let values = (0..<3).map { node in
        (0..<20).map { "\((7 * node * node + 3 * $0 + node * $0) % 5)" }.joined(separator: ",")
      }
      let graph = folder.appendingPathComponent("graph")
      try FileManager.default.createDirectory(at: graph, withIntermediateDirectories: true)
      let rows = (values + values).joined(separator: "\n")
      let lines = (edges + edges.map { ($0 + 3, $1 + 3) }).map { "\($0),\($1)" }.joined(separator: "\n")
      try Data(rows.utf8).write(to: graph.appendingPathComponent("features.csv"))
      try Data(lines.utf8).write(to: graph.appendingPathComponent("edges.csv"))
      let outcome = try await Command.run(
        "fedclient", "embed", "--model", model, "--data", "graph:\(graph.path)", "--out", folder.path("a.npy")
      )
      #expect(outcome.code == 0 && outcome.errors.contains(": 6 x 8 numbers, "), "\(outcome)")
      let found = try array(folder.path("a.npy"), columns: 8)
      for (one, other) in zip(found[0..<3], found[3...]) {
        for (a, b) in zip(one, other) { #expect(abs(a - b) <= 1e-5 * max(abs(a), 1), "\(one) and \(other)") }
      }
      #expect(Set(found[0..<3]).count == 3)
    }
  }

  /// The outputs of a linear model are its predictions.
  @Test func rowsArePredicted() async throws {
    let plan = """
      encoder: {family: linear, features: 2, outputs: 1, width: 2, depth: 2}
      method: {laps: 40}
      round: {cohort: 2}
      """
    try await withTemporaryFolder { folder in
      let inputs = (0..<40).map { (Double($0 % 7) - 3, Double($0 % 5) - 2) }
      let text = "a,b,y\n" + inputs.map { "\($0),\($1),\(2 * $0 - $1)\n" }.joined()
      try Data(text.utf8).write(to: folder.appendingPathComponent("rows.csv"))
      try await withRun(plan, "rows:\(folder.path("rows.csv"))") { model, _, _ in
        let outcome = try await Command.run(
          "fedclient", "embed", "--model", model, "--data", "rows:\(folder.path("rows.csv"))", "--out",
          folder.path("y.npy"))
        #expect(outcome.code == 0 && outcome.errors.contains(": 40 x 1 numbers, "), "\(outcome)")
        let found = try array(folder.path("y.npy"), columns: 1)
        for (row, input) in zip(found, inputs) { #expect(abs(Double(row[0]) - 2 * input.0 + input.1) < 1e-3) }
        let classified = try await Command.run(
          "fedclient", "classify", "--model", model, "--data", "rows:\(folder.path("rows.csv"))")
        #expect(classified.code == 3 && classified.errors.contains("an encoder without exits"))
      }
    }
  }
}
