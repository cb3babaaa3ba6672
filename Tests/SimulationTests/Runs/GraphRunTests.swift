import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import TestSupport
import Testing

/// Federations that divide a graph.
@Suite(.unhurried) struct GraphRunTests {
  private static let spec = "sbm:600?classes=4&features=40&seed=5"

  private func plan(_ setting: Plan.LocalTraining.Setting = .transductive, rounds: Int = 3) -> Plan {
    var plan = Plan(
      name: "graph", seed: 7,
      encoder: EncoderConfiguration(GraphConvolutionConfiguration(features: 40, width: 16, depth: 2)))
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(4))
    (plan.method.initialisation, plan.method.roundsPerStage) = (.random, .each(rounds))
    plan.local = Plan.LocalTraining(
      epochs: 4, batch: 32, learningRate: 4e-2, weightDecay: 0, setting: setting)
    plan.round = Plan.RoundRules(cohort: 4)
    return plan
  }

  private func run(
    _ plan: Plan, _ partition: Partition, data: String = spec, clients: Int = 4, cores: Int = 2
  ) async throws -> (summary: Summary, report: String) {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let spec = try DataSpec(parsing: data)
    let settings = Experiment.Settings(
      plan: plan, clients: clients, data: spec, testData: spec, partition: partition, out: out, cores: cores,
      threads: cores)
    let summary = try await Experiment(settings) { _ in }.run()
    let text = try String(contentsOf: out.appendingPathComponent("report.txt"), encoding: .utf8)
    return (summary, text)
  }

  /// Edges between clients are lost in training, and for a client's own answers, but not for an evaluation on the whole
  /// graph.
  @Test func lostEdgesAreReportedAndCostTheOwnParts() async throws {
    let (summary, text) = try await run(plan(rounds: 8), .even)
    let account = try #require(summary.graph)
    let set = try nodes()
    #expect(account.nodes == 600 && account.edges == set.graph.edges)
    let parts = try Partition.even.split(.nodes(set), clients: 4, seed: 7)
    #expect(account.lostEdges == LostEdges(of: set.graph, among: parts).lost)
    #expect(abs(account.lostShare - 0.75) < 0.03)
    let whole = try #require(summary.exits?.exits.last?.report)
    #expect(whole.images == 120 && whole.accuracy > 0.6, "\(text)")
    let own = try #require(account.ownAccuracy)
    #expect(own < whole.accuracy - 0.05, "\(text)")
    #expect(text.contains("edges lost       \(account.lostEdges) of \(account.edges), 7"), "\(text)")
    #expect(text.contains("own parts  "))
    #expect(summary.rounds.allSatisfy { $0.samples == 360 })
  }

  private func nodes() throws -> NodeSet {
    guard case .nodes(let set) = try DataSpec(parsing: Self.spec).dataset(role: .train) else {
      throw Unexpected("no graph")
    }
    return set
  }

  /// The training subgraph is shared out, and no client has a test node.
  @Test func anInductiveRunSharesTheTrainingNodes() async throws {
    let (summary, _) = try await run(plan(.inductive), .community)
    let account = try #require(summary.graph)
    let set = try nodes()
    #expect(account.nodes == 360 && account.ownAccuracy == nil)
    #expect(account.edges == set.subset(set.split.train).graph.edges)
    #expect(summary.exits?.exits.last?.report.images == 120)
  }

  @Test func neitherThreadsNorARepetitionChangeTheEncoder() async throws {
    for strategy in [Strategy.layerWise, .progressive, .endToEnd] {
      var plan = plan(rounds: 1)
      plan.method.strategy = strategy
      let one = try await run(plan, .dirichlet(beta: 0.5), cores: 1).summary
      let two = try await run(plan, .dirichlet(beta: 0.5), cores: 2).summary
      #expect(one.encoderDigest == two.encoderDigest && one.graph == two.graph)
    }
  }

  /// Few clients of many have a node with a label for training.
  @Test func clientsWithoutLabelsTakeNoPart() async throws {
    let folder = try Self.folder(nodes: 120, labelled: 6)
    defer { try? FileManager.default.removeItem(at: folder) }
    var plan = plan(rounds: 1)
    plan.encoder = EncoderConfiguration(GraphConvolutionConfiguration(features: 2, width: 4, depth: 1))
    plan.round.cohort = 20
    let (summary, _) = try await run(plan, .even, data: "graph:\(folder.path)", clients: 20)
    #expect(summary.rounds.map(\.samples) == [6] && summary.rounds[0].clients == 20)
    #expect(summary.clients.count { $0.samples == 0 } >= 14)
  }

  /// Writes a ring whose first nodes have labels, alternately of two classes.
  private static func folder(nodes: Int, labelled: Int) throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    func write(_ name: String, _ lines: [String]) throws {
      try Data(lines.joined(separator: "\n").utf8).write(to: folder.appendingPathComponent(name))
    }
    try write("edges.csv", (0..<nodes).map { "\($0),\(($0 + 1) % nodes)" })
    try write("features.csv", (0..<nodes).map { "\($0 % 2),\(1 - $0 % 2)" })
    try write("labels.csv", (0..<nodes).map { "\($0),\($0 % 2)" })
    try write("train.csv", (0..<labelled).map { "\($0)" })
    try write("test.csv", (labelled..<nodes).map { "\($0)" })
    return folder
  }

  /// A graph without nodes to train on or to test on, or of a single class, is rejected before anything runs.
  @Test func aSplitThatCannotBeTrainedIsRejected() async throws {
    let folder = try Self.folder(nodes: 20, labelled: 4)
    defer { try? FileManager.default.removeItem(at: folder) }
    var plan = plan(rounds: 1)
    plan.encoder = EncoderConfiguration(GraphConvolutionConfiguration(features: 2, width: 4, depth: 1))
    func expect(_ file: String, _ text: String, _ words: String) async throws {
      try Data(text.utf8).write(to: folder.appendingPathComponent(file))
      let error = await #expect(throws: (any Error).self) {
        try await run(plan, .even, data: "graph:\(folder.path)", clients: 4)
      }
      #expect("\(error.map { "\($0)" } ?? "")".contains(words))
    }
    try await expect("train.csv", "0\n2\n", "all 2 nodes of the data are of one class")
    try await expect("train.csv", "", "a classification needs training nodes with labels")
    try Data("0\n1\n".utf8).write(to: folder.appendingPathComponent("train.csv"))
    try await expect("test.csv", "", "an evaluation needs test nodes with labels")
  }
}
