import Client
import Datasets
import Engine
import Federation
import Foundation
import Support
import TestSupport
import Testing
import Wire

/// A client that trains on the nodes of its graph.
@Suite(.unhurried) struct LocalNodesTests {
  private static func plan(
    _ setting: Plan.LocalTraining.Setting = .transductive, _ strategy: Strategy = .layerWise
  )
    -> Plan
  {
    var plan = Plan(
      name: "nodes", seed: 7,
      encoder: EncoderConfiguration(GraphConvolutionConfiguration(features: 20, width: 6, depth: 2)))
    plan.method.strategy = strategy
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(4))
    plan.method.initialisation = .random
    (plan.method.roundsPerStage, plan.local.batch, plan.local.setting) = (.each(2), 16, setting)
    plan.local.learningRate = 0.1
    return plan
  }

  private static let graph: NodeSet = {
    var model = BlockModel(nodes: 120)
    (model.classes, model.features, model.seed) = (4, 20, 3)
    return model.generate()
  }()

  /// Returns the offers and updates of a client for these rounds, one after the other.
  private func updates(
    _ plan: Plan, _ set: NodeSet, _ rounds: [(Snapshot, round: Int)]
  ) async throws -> [(offer: UpdateOffer, bytes: Data)] {
    try await withClient(plan, nodes: set) { server in
      let session = try await server.welcome()
      var updates: [(offer: UpdateOffer, bytes: Data)] = []
      for (snapshot, round) in rounds {
        try await session.send(.assignment(Assignment(snapshot, round: round)))
        guard case .offer(let offer) = try await session.serve(snapshot).1 else {
          throw Unexpected("no offer")
        }
        updates.append((offer, offer.isEmpty ? Data() : try await session.collect(offer)))
        try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
      }
      try await server.finish(session)
      return updates
    }
  }

  /// A client with only the training nodes, which it may all see, sends what an inductive client sends.
  @Test(arguments: [Strategy.layerWise, .endToEnd])
  func anInductiveTrainingSeesTheTrainingNodesAlone(strategy: Strategy) async throws {
    let (whole, part) = (Self.graph, Self.graph.subset(Self.graph.split.train))
    try #require(part.cut > 50)
    let snapshot = Self.plan(.inductive, strategy).snapshot()
    let inductive = try await updates(Self.plan(.inductive, strategy), whole, [(snapshot, 1)])[0]
    let alone = try await updates(Self.plan(.transductive, strategy), part, [(snapshot, 1)])[0]
    let transductive = try await updates(Self.plan(.transductive, strategy), whole, [(snapshot, 1)])[0]
    #expect(inductive.bytes == alone.bytes && inductive.bytes != transductive.bytes)
    for offer in [inductive.offer, transductive.offer] {
      #expect(offer.samples == 72 && offer.steps == 3 * (72 / 16) && offer.loss.isFinite)
    }
  }

  /// What a client has kept from stage 1 gives the same update in stage 2 as the features give a client that begins there.
  @Test func theFrozenOutputsOfTheStageBeforeAreTaken() async throws {
    let (plan, set) = (Self.plan(), Self.graph)
    let (first, second) = (plan.snapshot(), plan.snapshot(stage: 2))
    let all = try await updates(plan, set, [(first, 1), (first, 2), (second, 1), (second, 2)])
    for (index, (snapshot, round)) in [(first, 2), (second, 1), (second, 2)].enumerated() {
      let fresh = try await updates(plan, set, [(snapshot, round)])[0]
      #expect(fresh.bytes == all[index + 1].bytes, "\(fresh.offer.key)")
    }
  }

  /// Frozen layers that change make other inputs, also if there are as many.
  @Test func otherFrozenLayersGiveOtherInputs() async throws {
    let (plan, set) = (Self.plan(), Self.graph)
    let second = plan.snapshot(stage: 2)
    let stage = plan.stage(2)
    let parameters = Storage(stage.model.layout)
    second.write(into: parameters)
    let frozen = parameters[stage.model.parts[0].range]
    for index in 0..<frozen.count { frozen[0, index] *= -1 }
    let changed = Snapshot(stage, parameters)
    let both = try await updates(plan, set, [(second, 1), (changed, 1)])
    let fresh = try await updates(plan, set, [(changed, 1)])[0]
    #expect(both[1].bytes == fresh.bytes && both[0].bytes != fresh.bytes)
  }

  @Test(arguments: [Plan.LocalTraining.Setting.transductive, .inductive])
  func aClientWithoutLabelledTrainingNodesTakesNoPart(setting: Plan.LocalTraining.Setting) async throws {
    let whole = Self.graph
    let set = NodeSet(
      whole.graph, whole.features, labels: whole.labels, classes: 4,
      split: .init(train: [], validation: [], test: whole.split.test))
    let plan = Self.plan(setting)
    let snapshot = plan.snapshot()
    let sent = try await updates(plan, set, [(snapshot, 1), (snapshot, 2)])
    #expect(sent.allSatisfy { $0.offer.isEmpty && $0.offer.base == Snapshot.base(of: snapshot.manifest) })
    let one = NodeSet(
      whole.graph, whole.features, labels: whole.labels, classes: 4,
      split: .init(train: [5], validation: [], test: []))
    let single = try await updates(plan, one, [(snapshot, 1)])[0]
    #expect(single.offer.samples == 1 && single.offer.steps == 3, "a batch of one node")
  }

  @Test func otherNumbersOfFeaturesAreRejected() async throws {
    var model = BlockModel(nodes: 30)
    (model.classes, model.features) = (4, 21)
    let set = model.generate()
    try await withClient(Self.plan(), nodes: set) { server in
      let session = try await server.welcome()
      let error = await #expect(throws: ClientError.self) { try await server.running.value }
      guard case .data(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason == "the data are nodes of 21 features, and the encoder takes nodes of 20")
      await session.connection.close()
    }
  }

  @Test func featuresThatExceedTheMemoryAreNotComputed() async throws {
    var plan = Self.plan()
    plan.local.memory = ByteCount("1MB")
    let snapshot = plan.snapshot()
    try await withClient(plan, nodes: Self.graph) { server in
      let session = try await server.welcome()
      try await session.send(.assignment(Assignment(snapshot)))
      await #expect(throws: WireError.self) { while true { _ = try await session.serve(snapshot) } }
      let error = await #expect(throws: ClientError.self) { try await server.running.value }
      guard case .memory(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
      #expect(reason.contains("this stage needs 1 MB of memory, and 0 MB are available"), "\(reason)")
    }
  }

  /// The numbers are those of an evaluation of the same model on the same graph, at each exit.
  @Test func aValidationClassifiesTheTestNodes() async throws {
    let (plan, set) = (Self.plan(), Self.graph)
    let snapshot = plan.snapshot(stage: 2)
    try await withClient(plan, nodes: set, validationNodes: set) { server in
      let session = try await server.welcome()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
      var validation: Validation?
      while validation == nil {
        if case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true) {
          validation = heartbeat.validation
        }
      }
      let exits = try ExitEvaluation(plan, .nodes(set), threads: 1).result(of: snapshot, plan.augmentation)
        .exits
      #expect(validation?.images == 24 && validation?.correct == exits.map(\.report.correct))
      #expect(exits.count == 2)
      try await server.finish(session)
    }
  }

  @Test func anEstimateTrainsOnTheGraph() throws {
    for strategy in [Strategy.layerWise, .endToEnd] {
      let plan = Self.plan(.transductive, strategy)
      let estimate = TrainingEstimate(plan, .nodes(Self.graph), threads: 2, limit: nil)
      for index in 1...plan.stages {
        let stage = estimate.measure(stage: index)
        #expect(stage.problem == nil && (stage.secondsPerRound ?? 0) > 0)
        #expect(stage.batch == 16 && stage.steps == 3 * (72 / 16))
      }
      let small = TrainingEstimate(plan, .nodes(Self.graph), threads: 1, limit: ByteCount("1MB"))
      #expect(small.measure(stage: 1).problem != nil)
    }
  }
}
