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
    /// The analysis of the layers on the test examples, after every probed round or, if only the end is probed, after each
    /// stage; nil for none.
    package var analysis: Analysis?
    /// The properties of the clients' connections; nil for plain loopback.
    package var link: LinkShape?
    /// Whether a broken image file is an error instead of being skipped.
    package var isStrict = false
    /// Whether the run in the folder is continued, if there is one.
    package var resumes = false
    /// The folder for TensorBoard's events; nil for none.
    package var events: URL?

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
    /// The run continues after a number of committed rounds.
    case resuming(rounds: Int)
    /// A finding of the lint, before anything trains.
    case advice(LintFinding)
  }

  let settings: Settings
  let observer: @Sendable (Event) -> Void
  let plan: Plan

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
  var database: URL { settings.out.appendingPathComponent("strata.sqlite") }
  private var states: URL { settings.out.appendingPathComponent("clients") }

  /// Runs the federation to its end, evaluates the encoder and writes the files of the folder.
  ///
  /// Calls `prepare` after all inputs have been opened and before any file is created. A cancelled task ends soon,
  /// possibly with threads still running, and leaves the folder in its current state.
  package func run(preparing prepare: () throws -> Void = {}) async throws -> Summary {
    let clock = ContinuousClock()
    let start = clock.now
    let earlier = settings.resumes ? try earlierRun() : nil
    if let earlier, let summary = finished(earlier) {
      try writeFigures(of: summary)
      return summary
    }
    let record = try earlier?.resumed(with: settings) ?? RunRecord(settings)
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
    try record.write(to: settings.out)
    let store = try Store(database.path)
    let before = try store.roundSummaries()
    if record.resumes > 0 { observer(.resuming(rounds: before.count)) }
    let links = try settings.link.map {
      try Links($0, of: plan, file: settings.out.appendingPathComponent(LinkReport.name))
    }
    let snapshot = try await trained(store, shared, parts, links)
    try? FileManager.default.removeItem(at: states)
    let checkpoint = try CommittedModel(in: database.path).checkpoint
    let evaluation = try await evaluate(checkpoint, shared, test)
    let elapsed = (clock.now - start).seconds
    var summary = Summary(
      plan: plan, rounds: try store.roundSummaries(), clients: try store.clients(), evaluation: evaluation,
      encoderDigest: snapshot.encoderDigest,
      seconds: before.reduce(elapsed) { $0 + $1.seconds })
    summary.resumes = record.resumes == 0 ? nil : record.resumes
    summary.link = links?.report
    summary.cascade = CascadeAccount(plan, try store.stageImages())
    // Runs after the clock was read, so that the time of a run does not depend on its probes.
    summary.probes = try await probeRounds(
      of: store, shared, test, untrained: evaluation?.untrained.linearProbe)
    summary.analysis = try await analyse(store, test)
    summary.exits = try await classify(snapshot, test, store)
    summary.regression = try await evaluateRegression(snapshot, train, test)
    summary.graph = try await graph(snapshot, shared, parts, isEvaluated: test != nil)
    try summary.write(to: settings.out, checkpoint)
    try writeFigures(of: summary)
    tellBroken()
    return summary
  }

  /// Returns the record of the run in the folder; nil if there is none. Throws ``ExperimentError/folder(_:)`` if it
  /// cannot be resumed.
  private func earlierRun() throws(ExperimentError) -> RunRecord? {
    if let record = try RunRecord(in: settings.out) { return record }
    guard !FileManager.default.fileExists(atPath: database.path) else {
      throw .folder(
        "\(settings.out.relativePath) holds a run of an earlier version, without \(RunRecord.name); it cannot be resumed"
      )
    }
    return nil
  }

  /// Returns the summary of an earlier run with the same settings that was finished and evaluated; nil otherwise.
  private func finished(_ earlier: RunRecord) -> Summary? {
    let record = RunRecord(settings)
    guard (record.training, record.evaluation) == (earlier.training, earlier.evaluation) else { return nil }
    return Summary(folder: settings.out)
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

  /// Runs the federation to its end, unless it has ended before, and returns the model.
  private func trained(
    _ store: Store, _ train: Dataset, _ parts: [[Int]], _ links: Links?
  ) async throws -> Snapshot {
    if try store.isFinished(), let last = try store.committedRounds().last {
      return try store.snapshot(plan, last.stage, last.round)
    }
    let server = try await Server(
      plan, store: store, folder: settings.planFolder, endpoint: Endpoint(host: "127.0.0.1", port: 0),
      threads: settings.cores
    ) { [observer] event in
      if case .committed(let round) = event { links?.note(round) }
      observer(.server(event))
    }
    return try await federate(server, train, parts, links)
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
}

/// The reason why an experiment cannot run.
package enum ExperimentError: Error, Sendable, CustomStringConvertible {
  case setting(String)
  /// The run in the folder cannot be resumed.
  case folder(String)

  package var description: String {
    switch self {
    case .setting(let reason), .folder(let reason): reason
    }
  }
}
