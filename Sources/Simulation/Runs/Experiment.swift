import Client
import Datasets
import Engine
import Federation
import Foundation
import Server
import Support
import Synchronization
import Wire

/// A federation on one machine: the real server and real clients over loopback sockets, and what came of it.
package struct Experiment: Sendable {
  package struct Settings: Sendable {
    package var plan: Plan
    /// Where the plan's file is, which its `initial` is relative to.
    package var planFolder = URL.currentDirectory()
    package var clients: Int
    package var data: DataSpec
    /// Labelled images for the evaluation; none, no evaluation.
    package var testData: DataSpec?
    /// Epochs of fine-tuning in the evaluation; 0, none.
    package var fineTuningEpochs: Int
    package var partition: Partition
    package var out: URL
    /// Cores of this machine that the clients' trainings share.
    package var cores: Int
    /// Threads of one training.
    package var threads: Int
    /// The chance, 0 … 1, that a client declines a round that it is drawn for.
    package var dropout = 0.0
    /// The linear probe is taken after every so many rounds, and after the last; 0: only at the end.
    package var probeEvery = 0
    /// What the clients' connections are like; nil, as this machine's loopback is.
    package var link: LinkShape?
    /// A broken file of images is rejected, instead of left out.
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

  /// What happens, from the server's and from each client's side.
  package enum Event: Sendable {
    case server(ServerEvent)
    case client(String, ClientEvent)
    /// The encoder is evaluated, or the one that was not trained.
    case evaluating
    case fineTuning(step: Int, of: Int)
    /// Files of images that are left out; one line.
    case broken(String)
  }

  private let settings: Settings
  private let observer: @Sendable (Event) -> Void
  private let plan: Plan

  /// Checks what can be checked before anything runs. Throws ``ExperimentError``.
  package init(_ settings: Settings, observer: @escaping @Sendable (Event) -> Void) throws(ExperimentError) {
    guard settings.plan.round.cohort <= settings.clients else {
      throw .setting(
        "the plan's cohort is \(settings.plan.round.cohort), but there \(settings.clients == 1 ? "is" : "are") \(counted(settings.clients, "client"))"
      )
    }
    var plan = settings.plan
    // Every client must be there before a cohort is drawn: so a run can be repeated.
    plan.round.minimumClients = settings.clients
    plan.round.wait = plan.round.deadline
    (self.plan, self.settings, self.observer) = (plan, settings, observer)
  }

  /// Files of a run's folder.
  private var database: URL { settings.out.appendingPathComponent("strata.sqlite") }
  private var states: URL { settings.out.appendingPathComponent("clients") }

  /// Runs the federation to its end, evaluates the encoder and writes the folder's files.
  ///
  /// `prepare` is called once all that the settings and the plan name has been opened, and before anything is made. A
  /// task that is cancelled ends soon, with threads of its own still at work, and leaves the folder as it is then.
  package func run(preparing prepare: () throws -> Void = {}) async throws -> Summary {
    let clock = ContinuousClock()
    let start = clock.now
    let (train, test) = try await TrainingThread.abandonable("images") { try load() }
    let news = BrokenFileNews()
    func tellBroken() {
      if let line = news.line(train.broken + (test?.broken ?? [])) { observer(.broken(line)) }
    }
    tellBroken()
    let parts = try settings.partition.split(train, clients: settings.clients, seed: plan.seed)
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
    let snapshot = try await federate(server, train, parts, links)
    try? FileManager.default.removeItem(at: states)
    let checkpoint = try CommittedModel(in: database.path).checkpoint
    let evaluation = try await evaluate(checkpoint, train, test)
    let elapsed = (clock.now - start).seconds
    var summary = Summary(
      plan: plan, rounds: log.rounds, clients: try store.clients(), evaluation: evaluation,
      encoderDigest: snapshot.encoderDigest,
      seconds: elapsed)
    summary.link = links?.report
    // After the clock has been read: what a run takes does not depend on how often it is looked at.
    summary.probes = try await probeRounds(of: store, train, test)
    try summary.write(to: settings.out, checkpoint)
    tellBroken()
    return summary
  }

  private func load() throws -> (train: ImageSet, test: ImageSet?) {
    let fit = ImageFit(plan.encoder)
    let train = try settings.data.load(role: .train, for: fit, strict: settings.isStrict)
    let test = try settings.testData?.load(role: .test, for: fit, strict: settings.isStrict)
    if let test { try EncoderEvaluation.requireLabels(train, test) }
    try plan.checkFiles(in: settings.planFolder)
    return (train, test)
  }

  /// Runs server and clients, and their links where there are any.
  private func federate(
    _ server: Server, _ train: ImageSet, _ parts: [[Int]], _ links: Links?
  ) async throws -> Snapshot {
    let names = parts.indices.map { Self.clientName($0, of: parts.count) }
    guard let links else {
      return try await federate(server, train, parts, names.map { ($0, server.endpoint) })
    }
    return try await links.open(for: names, to: server.endpoint) { endpoints in
      try await federate(server, train, parts, Array(zip(names, endpoints)))
    }
  }

  /// Runs server and clients; the first failure of either ends all.
  private func federate(
    _ server: Server, _ train: ImageSet, _ parts: [[Int]], _ clients: [(name: String, server: Endpoint)]
  ) async throws -> Snapshot {
    let permits = TrainingPermits(max(1, settings.cores / settings.threads))
    return try await withThrowingTaskGroup(of: Void.self) { group in
      for (indices, (name, endpoint)) in zip(parts, clients) {
        let client = client(name, train.subset(indices), endpoint, permits)
        group.addTask { try await client.run() }
      }
      async let snapshot = server.run()
      do {
        try await group.waitForAll()
      } catch {
        await server.stop()
        // Where the server gave up, its reason is the cause and the client's the effect.
        do { _ = try await snapshot } catch is CancellationError {}
        throw error
      }
      return try await snapshot
    }
  }

  private func client(
    _ name: String, _ images: ImageSet, _ endpoint: Endpoint, _ permits: TrainingPermits
  ) -> Client {
    var configuration = Client.Configuration(
      server: endpoint, name: name, state: states.appendingPathComponent(name), threads: settings.threads)
    configuration.sharesProcess = true
    // However often a link is cut, the server is there: its end would end the run.
    if settings.link != nil { configuration.patience = .seconds(3600) }
    if settings.dropout > 0 {
      // Who is asked once more after it declined may say something else.
      let declined = Mutex<(key: RoundKey?, count: Int)>((nil, 0))
      configuration.declines = { [seed = plan.seed, dropout = settings.dropout] key in
        declined.withLock { declined in
          if declined.key != key { declined = (key, 0) }
          var random = RandomNumbers(
            RandomNumbers.derive(
              seed, "dropout \(name)", [key.stage, key.round, key.attempt + declined.count]))
          guard Double(random.uniform()) < dropout else { return nil }
          declined.count += 1
          return DeclineReason("it drops out")
        }
      }
    }
    return Client(configuration, permits: permits, images: { _ in images }) { [observer] event in
      observer(.client(name, event))
    }
  }

  /// What a run calls its clients.
  static func clientName(_ index: Int, of count: Int) -> String { Share(index, of: count).name("client") }

  private func evaluate(
    _ checkpoint: EncoderCheckpoint, _ train: ImageSet, _ test: ImageSet?
  ) async throws -> Summary.Evaluation? {
    guard let test else { return nil }
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

  private func probeRounds(
    of store: Store, _ train: ImageSet, _ test: ImageSet?
  ) async throws -> [RoundProbe]? {
    guard settings.probeEvery > 0, let test else { return nil }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      let evaluation = try EncoderEvaluation(
        train: train, test: test, seed: plan.seed, threads: settings.cores)
      return try RoundProbe.all(of: store, plan, every: settings.probeEvery) {
        try evaluation.linearProbe(of: EncoderCheckpoint($0, plan.augmentation))
      }
    }
  }
}

/// Why an experiment cannot be run.
package enum ExperimentError: Error, Sendable, CustomStringConvertible {
  case setting(String)

  package var description: String {
    switch self {
    case .setting(let reason): reason
    }
  }
}

/// The linear probe of the encoder as a round left it.
package struct RoundProbe: Sendable, Hashable, Codable {
  package let stage: Int
  /// Counted from 1 in each stage.
  package let round: Int
  /// 0 … 1.
  package let linearProbe: Double

  package init(stage: Int, round: Int, linearProbe: Double) {
    (self.stage, self.round, self.linearProbe) = (stage, round, linearProbe)
  }

  /// Probes every so many of a store's committed rounds, counted over all stages, and the last one.
  static func all(
    of store: Store, _ plan: Plan, every interval: Int, _ accuracy: (Snapshot) throws -> Double
  ) throws -> [RoundProbe] {
    let committed = try store.committedRounds()
    var probes: [RoundProbe] = []
    for (index, (stage, round)) in committed.enumerated() {
      guard (index + 1) % interval == 0 || index + 1 == committed.count else { continue }
      let weights = try store.layers(of: round).map(\.weights)
      let snapshot = Snapshot(plan.stage(stage.number), parts: weights)
      probes.append(
        RoundProbe(stage: stage.number, round: round.number, linearProbe: try accuracy(snapshot)))
    }
    return probes
  }
}

extension Plan {
  /// The plan's finished encoder as it would be without training.
  func untrained() -> EncoderCheckpoint {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return EncoderCheckpoint(Snapshot(stage, parameters), augmentation)
  }
}
