import Client
import Datasets
import Engine
import Federation
import Foundation
import Server
import Support
import Synchronization
import Wire

/// A federation on one machine: the real server and real clients over loopback sockets, and its results.
package struct Experiment: Sendable {
  package struct Settings: Sendable {
    package var plan: Plan
    /// The folder of the plan's file; the plan's `initial` is relative to it.
    package var planFolder = URL.currentDirectory()
    package var clients: Int
    package var data: DataSpec
    /// The labelled images for the evaluation; nil for no evaluation.
    package var testData: DataSpec?
    /// The epochs of fine-tuning in the evaluation; 0 for none.
    package var fineTuningEpochs: Int
    package var partition: Partition
    package var out: URL
    /// The cores of this machine that the clients' trainings share.
    package var cores: Int
    /// The threads of one training.
    package var threads: Int
    /// The probability, 0 … 1, that a client declines an assignment.
    package var dropout = 0.0
    /// The number of rounds between linear probes; one is also taken after the last round. 0 for the end only.
    package var probeEvery = 0
    /// The properties of the clients' connections; nil for plain loopback.
    package var link: LinkShape?
    /// Whether a broken image file is an error instead of being skipped.
    package var isStrict = false

    package init(
      plan: Plan, clients: Int, data: DataSpec, testData: DataSpec?, fineTuningEpochs: Int = 0,
      partition: Partition, out: URL, cores: Int, threads: Int
    ) {
      (self.plan, self.clients, self.data, self.testData) = (plan, clients, data, testData)
      self.fineTuningEpochs = fineTuningEpochs
      (self.partition, self.out, self.cores, self.threads) = (partition, out, cores, threads)
    }
  }

  /// An event of the server or of a client.
  package enum Event: Sendable {
    case server(ServerEvent)
    case client(String, ClientEvent)
    /// The evaluation of the encoder, or of the untrained one, begins.
    case evaluating
    case fineTuning(step: Int, of: Int)
    /// A line about skipped image files.
    case broken(String)
    /// A finding of the lint, before anything trains.
    case advice(LintFinding)
  }

  private let settings: Settings
  private let observer: @Sendable (Event) -> Void
  private let plan: Plan

  /// Checks the settings before anything runs. Throws ``ExperimentError``.
  package init(_ settings: Settings, observer: @escaping @Sendable (Event) -> Void) throws(ExperimentError) {
    guard settings.plan.round.cohort <= settings.clients else {
      throw .setting(
        "the plan's cohort is \(settings.plan.round.cohort), but there \(settings.clients == 1 ? "is" : "are") \(counted(settings.clients, "client"))"
      )
    }
    var plan = settings.plan
    // All clients must be present before a cohort is drawn, so that a run can be repeated.
    plan.round.minimumClients = settings.clients
    plan.round.wait = plan.round.deadline
    (self.plan, self.settings, self.observer) = (plan, settings, observer)
  }

  /// The paths in a run's folder.
  private var database: URL { settings.out.appendingPathComponent("strata.sqlite") }
  private var states: URL { settings.out.appendingPathComponent("clients") }

  /// Runs the federation to its end, evaluates the encoder and writes the files of the folder.
  ///
  /// Calls `prepare` after all inputs have been opened and before any file is created. A cancelled task ends soon,
  /// possibly with threads still running, and leaves the folder in its current state.
  package func run(preparing prepare: () throws -> Void = {}) async throws -> Summary {
    let clock = ContinuousClock()
    let start = clock.now
    let (train, test) = try await TrainingThread.abandonable("images") { try load() }
    let news = BrokenFileNews()
    func tellBroken() {
      if let line = news.line(train.broken + (test?.broken ?? [])) { observer(.broken(line)) }
    }
    tellBroken()
    let shared = plan.trainingPart(of: train)
    let parts = try settings.partition.split(shared, clients: settings.clients, seed: plan.seed)
    for finding in Lint.findings(
      plan, LintData(shared, description: settings.data.description, parts: parts))
    {
      observer(.advice(finding))
    }
    try Task.checkCancellation()
    try prepare()
    try FileManager.default.createDirectory(at: settings.out, withIntermediateDirectories: true)
    let store = try Store(database.path)
    let links = settings.link.map { Links($0, of: plan) }
    let (rounds, log) = RoundLog.observing(links, observer)
    let server = try await Server(
      plan, store: store, folder: settings.planFolder, endpoint: Endpoint(host: "127.0.0.1", port: 0),
      threads: settings.cores,
      observer: rounds)
    let snapshot = try await federate(server, shared, parts, links)
    try? FileManager.default.removeItem(at: states)
    let checkpoint = try CommittedModel(in: database.path).checkpoint
    let evaluation = try await evaluate(checkpoint, shared, test)
    let elapsed = (clock.now - start).seconds
    var summary = Summary(
      plan: plan, rounds: log.rounds, clients: try store.clients(), evaluation: evaluation,
      encoderDigest: snapshot.encoderDigest,
      seconds: elapsed)
    summary.link = links?.report
    summary.cascade = CascadeAccount(plan, try store.stageImages())
    // Runs after the clock was read, so that the time of a run does not depend on its probes.
    summary.probes = try await probeRounds(of: store, shared, test)
    summary.exits = try await classify(snapshot, test, store)
    summary.regression = try await evaluateRegression(snapshot, train, test)
    summary.graph = try await graph(snapshot, shared, parts, isEvaluated: test != nil)
    try summary.write(to: settings.out, checkpoint)
    tellBroken()
    return summary
  }

  private func load() throws -> (train: Dataset, test: Dataset?) {
    let input = plan.encoder.input
    let train = try plan.labelled(settings.data.dataset(role: .train, for: input, strict: settings.isStrict))
    let test = try settings.testData.map { spec in
      // A graph is read once for both roles.
      if spec == settings.data, case .nodes = train { return train }
      return try plan.labelled(spec.dataset(role: .test, for: input, strict: settings.isStrict))
    }
    try checkClasses(of: train)
    if let test, !plan.isRegression { try EncoderEvaluation.requireLabels(train, test) }
    try plan.checkFiles(in: settings.planFolder)
    return (train, test)
  }

  /// Throws unless a classification has two classes to learn.
  private func checkClasses(of train: Dataset) throws {
    guard plan.method.classification != nil else { return }
    var (labels, count) = (train.labels ?? [], train.count)
    if case .nodes(let set) = train {
      guard !set.split.train.isEmpty else {
        throw DatasetError.noNodes(for: "a classification", kind: "training")
      }
      labels = set.split.train.map { set.labels[$0] }
      count = labels.count
    }
    guard Set(labels).count == 1 else { return }
    throw ExperimentError.setting(
      "all \(counted(count, train.noun)) of the data are of one class, and a classification needs two")
  }

  /// Runs the server, the clients and their links, if there are any.
  private func federate(
    _ server: Server, _ train: Dataset, _ parts: [[Int]], _ links: Links?
  ) async throws -> Snapshot {
    let names = parts.indices.map { Self.clientName($0, of: parts.count) }
    guard let links else {
      return try await federate(server, train, parts, names.map { ($0, server.endpoint) })
    }
    return try await links.open(for: names, to: server.endpoint) { endpoints in
      try await federate(server, train, parts, Array(zip(names, endpoints)))
    }
  }

  /// Runs the server and the clients; the first failure ends all.
  private func federate(
    _ server: Server, _ train: Dataset, _ parts: [[Int]], _ clients: [(name: String, server: Endpoint)]
  ) async throws -> Snapshot {
    let permits = TrainingPermits(max(1, settings.cores / settings.threads))
    return try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, (indices, (name, endpoint))) in zip(parts, clients).enumerated() {
        let own = settings.partition.part(
          index, of: train, indices, clients: parts.count, seed: plan.seed)
        let client = client(name, own, endpoint, permits)
        group.addTask { try await client.run() }
      }
      async let snapshot = server.run()
      do {
        try await group.waitForAll()
      } catch {
        await server.stop()
        // If the server failed, its error is the cause and the client's a consequence.
        do { _ = try await snapshot } catch is CancellationError {}
        throw error
      }
      return try await snapshot
    }
  }

  private func client(
    _ name: String, _ examples: Dataset, _ endpoint: Endpoint, _ permits: TrainingPermits
  ) -> Client {
    var configuration = Client.Configuration(
      server: endpoint, name: name, state: states.appendingPathComponent(name), threads: settings.threads)
    configuration.sharesProcess = true
    // The server is present however often a link is cut; if it ended, the run would end.
    if settings.link != nil { configuration.patience = .seconds(3600) }
    if settings.dropout > 0 {
      // A client that is asked again after a decline may answer differently.
      let declined = Mutex<(key: RoundKey?, count: Int)>((nil, 0))
      configuration.declines = { [seed = plan.seed, dropout = settings.dropout] key in
        declined.withLock { declined in
          if declined.key != key { declined = (key, 0) }
          var random = RandomNumbers(
            RandomNumbers.derive(
              seed, "dropout \(name)", [key.stage, key.round, key.attempt + declined.count]))
          guard Double(random.uniform()) < dropout else { return nil }
          declined.count += 1
          return DeclineReason("simulated dropout")
        }
      }
    }
    return Client(configuration, permits: permits, examples: { _ in examples }) { [observer] event in
      observer(.client(name, event))
    }
  }

  /// Returns the name of a client in a run.
  static func clientName(_ index: Int, of count: Int) -> String { Share(index, of: count).name("client") }

  private func evaluate(
    _ checkpoint: EncoderCheckpoint, _ train: Dataset, _ test: Dataset?
  ) async throws -> Summary.Evaluation? {
    guard let test, !plan.isRegression else { return nil }
    return try await TrainingThread.abandonable("evaluation") { [observer, plan, settings] in
      let evaluation = try EncoderEvaluation(
        train: train, test: test, fineTuningEpochs: settings.fineTuningEpochs, seed: plan.seed,
        threads: settings.cores)
      func accuracies(_ checkpoint: EncoderCheckpoint) throws -> EncoderEvaluation.Accuracies {
        observer(.evaluating)
        return try evaluation.accuracies(of: checkpoint) { observer(.fineTuning(step: $0, of: $1)) }
      }
      return Summary.Evaluation(
        trained: try accuracies(checkpoint), untrained: try accuracies(plan.untrained()))
    }
  }

  /// Evaluates the exits of a classification on the test images after the last round, and stores the result.
  private func classify(
    _ snapshot: Snapshot, _ test: Dataset?, _ store: Store
  ) async throws -> ExitEvaluation.Result? {
    guard let test, plan.method.classification != nil else { return nil }
    observer(.evaluating)
    let result = try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      try ExitEvaluation(plan, test, threads: settings.cores).result(of: snapshot, plan.augmentation)
    }
    if let last = try store.committedRounds().last { try store.note(result, of: last.round) }
    return result
  }

  /// Evaluates the model of a regression on all rows.
  private func evaluateRegression(
    _ snapshot: Snapshot, _ train: Dataset, _ test: Dataset?
  ) async throws -> RegressionEvaluation? {
    guard plan.isRegression, case .rows(let rows) = train else { return nil }
    var others: FeatureRows?
    if case .rows(let test)? = test { others = test }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings, others] in
      RegressionEvaluation(
        trained: snapshot, untrained: plan.firstSnapshot(), rows, others, threads: settings.cores)
    }
  }

  /// Returns the account of a partitioned graph; nil for other examples. If the results are evaluated, it has the accuracy
  /// of a classification's last exit on each client's own test nodes, classified on its own part.
  private func graph(
    _ snapshot: Snapshot, _ examples: Dataset, _ parts: [[Int]], isEvaluated: Bool
  ) async throws -> GraphAccount? {
    guard case .nodes(let set) = examples else { return nil }
    var account = GraphAccount(edges: LostEdges(of: set.graph, among: parts), nodes: set.count)
    // In the inductive setting no client has test nodes.
    guard isEvaluated, plan.method.classification != nil, !set.split.test.isEmpty else { return account }
    observer(.evaluating)
    account.ownAccuracy = try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      var (right, all) = (0.0, 0)
      for part in set.subsets(parts) where !part.split.test.isEmpty {
        let result = try ExitEvaluation(plan, .nodes(part), threads: settings.cores)
          .result(of: snapshot, plan.augmentation)
        right += (result.exits.last?.report.accuracy ?? 0) * Double(part.split.test.count)
        all += part.split.test.count
      }
      return all == 0 ? nil : right / Double(all)
    }
    return account
  }

  private func probeRounds(
    of store: Store, _ train: Dataset, _ test: Dataset?
  ) async throws -> [RoundProbe]? {
    guard settings.probeEvery > 0, let test, !plan.isRegression else { return nil }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      let evaluation = try EncoderEvaluation(
        train: train, test: test, seed: plan.seed, threads: settings.cores)
      let exits =
        plan.method.classification == nil ? nil : try ExitEvaluation(plan, test, threads: settings.cores)
      return try RoundProbe.all(of: store, plan, every: settings.probeEvery) {
        (
          try evaluation.linearProbe(of: EncoderCheckpoint($0, plan.augmentation)),
          exits?.result(of: $0, plan.augmentation)
        )
      }
    }
  }
}

/// The reason why an experiment cannot run.
package enum ExperimentError: Error, Sendable, CustomStringConvertible {
  case setting(String)

  package var description: String {
    switch self {
    case .setting(let reason): reason
    }
  }
}

/// The linear probe of the encoder after a round; in a classification also the accuracy of the last exit.
package struct RoundProbe: Sendable, Hashable, Codable {
  package let stage: Int
  /// The round, counted from 1 in each stage.
  package let round: Int
  /// The accuracy, 0 … 1.
  package let linearProbe: Double
  /// The accuracy of the last exit and of always predicting the most frequent class; nil for other objectives.
  package let accuracy, majorityBaseline: Double?

  package init(
    stage: Int, round: Int, linearProbe: Double, accuracy: Double? = nil, majorityBaseline: Double? = nil
  ) {
    (self.stage, self.round, self.linearProbe) = (stage, round, linearProbe)
    (self.accuracy, self.majorityBaseline) = (accuracy, majorityBaseline)
  }

  /// Probes every `interval`-th committed round of a store, counted over all stages, and the last one. Stores the
  /// results as the server does.
  static func all(
    of store: Store, _ plan: Plan, every interval: Int,
    _ measure: (Snapshot) throws -> (probe: Double, exits: ExitEvaluation.Result?)
  ) throws -> [RoundProbe] {
    let committed = try store.committedRounds()
    var probes: [RoundProbe] = []
    for (index, (stage, round)) in committed.enumerated() {
      guard (index + 1) % interval == 0 || index + 1 == committed.count else { continue }
      let snapshot = try store.snapshot(plan, stage, round)
      let (probe, exits) = try measure(snapshot)
      var metrics = RoundMetrics()
      metrics[.probe] = probe
      try store.note(metrics, of: round)
      if let exits { try store.note(exits, of: round) }
      let last = exits?.exits.last?.report
      probes.append(
        RoundProbe(
          stage: stage.number, round: round.number, linearProbe: probe, accuracy: last?.accuracy,
          majorityBaseline: last?.majorityBaseline))
    }
    return probes
  }
}

extension Plan {
  /// Returns the plan's complete encoder without training.
  func untrained() -> EncoderCheckpoint {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return EncoderCheckpoint(Snapshot(stage, parameters), augmentation)
  }
}
