import Engine
import Federation
import Foundation
import Server

/// Checks the invariants of a federation against its events.
final class Checker {
  /// The clients that have received the admission of their update, by attempt at a round.
  private var acknowledged: [RoundKey: Set<String>] = [:]
  private var committed: [RoundKey: Set<String>] = [:]
  private var lastCommitted: (key: RoundKey, decision: Decision)?
  /// By round, the clients whose updates were trained for the previous round, and the attempt at it.
  private var folded: [RoundKey: [String: RoundKey]] = [:]
  /// The model at the start of the current round, and of the previous round if it was of the same stage.
  private lazy var base = plan.firstSnapshot()
  private var previous: Snapshot?
  private let plan: Plan
  private let clients: [VirtualClient]
  /// The plan's controller, and its state, which no crash of the server touches.
  private let controller: ControllerFile?
  private var controllerState = StageController.State()
  /// The current attempt: its start, the clients asked, and the clients whose updates will not come.
  private var began = Duration.zero
  private var current: RoundKey?
  private var (asked, admitted, declined, rejected) = (
    Set<String>(), Set<String>(), Set<String>(), Set<String>()
  )
  var now = Duration.zero
  private(set) var failure: String?
  var rounds: Int { committed.count }
  /// The number of late updates in committed rounds.
  var late: Int { folded.filter { committed[$0.key] != nil }.reduce(0) { $0 + $1.value.count } }

  init(_ plan: Plan, _ clients: [VirtualClient], _ controller: ControllerFile?) {
    (self.plan, self.clients, self.controller) = (plan, clients, controller)
  }

  func require(_ holds: Bool, _ claim: @autoclosure () -> String) {
    if !holds && failure == nil { failure = claim() }
  }

  /// Checks that an update is stored before the server confirms its admission to the client.
  func acknowledge(_ key: RoundKey, to client: String, _ store: Store) {
    let key = counts(key, client)
    let stored = (try? store.admitted(key)) ?? [:]
    require(
      stored[client] != nil, "\(client) has an acknowledgement of \(key) for an update that is not stored")
  }

  /// Records that a client has received the admission of its update.
  func hear(_ key: RoundKey, _ client: VirtualClient) {
    let key = counts(key, client.name)
    acknowledged[key, default: []].insert(client.name)
    require(client.character.isAdmitted, "\(client.name) lied and was admitted")
    if let counted = committed[key] {
      require(
        counted.contains(client.name), "\(key) was committed without \(client.name), which it had admitted")
    }
  }

  /// Records that the server has admitted an update.
  func admit(_ key: RoundKey, _ client: String) {
    let character = clients.first { $0.name == client }?.character
    require(character?.isAdmitted ?? false, "\(client) lied and was admitted to \(key)")
    (asked, admitted) = (asked.union([client]), admitted.union([client]))
  }

  /// Records any other event of the server.
  func note(_ event: ServerEvent, _ store: Store) {
    switch event {
    case .assigned(let key, let client):
      current = key
      asked.insert(client)
      declined.remove(client)
      let stored = (try? store.asked(key)) ?? []
      require(stored.contains(client), "\(client) is asked for \(key), which is not stored")
    case .declined(current, let client, _): declined.insert(client)
    case .rejected(current, let client, _): if !admitted.contains(client) { rejected.insert(client) }
    case .abandoned(let key, let reason): abandon(key, reason)
    case .grown(let key, let images, let batch):
      let isFirst = !committed.keys.contains { $0.stage == key.stage }
      require(
        plan.isSelecting(stage: key.stage) && isFirst && images < batch,
        "the encoder ends before \(key), for which \(images) images remain")
    default: break
    }
  }

  /// Checks why an attempt was abandoned. The valid reasons are: too many rejections; rejections without replacement
  /// until the deadline; clients that failed to respond although enough were left; or the timeout. Declines are not a
  /// valid reason.
  private func abandon(_ key: RoundKey, _ reason: String) {
    let left = asked.subtracting(rejected)
    require(
      left.count < plan.round.quorum || left.subtracting(declined).count >= plan.round.quorum
        || (!rejected.isEmpty && now - began >= plan.round.deadline.duration)
        || now - began >= plan.round.timeout.duration,
      "\(key) is given up because of \(declined.sorted()), who declined: \(reason)")
    begin()
  }

  private func begin() {
    (began, current) = (now, nil)
    (asked, admitted, declined, rejected) = ([], [], [], [])
  }

  /// Checks that an admitted late update is of the previous round of the stage, and that the plan allows it.
  func fold(_ old: RoundKey, into key: RoundKey, _ client: String) {
    admit(key, client)
    require(plan.round.stragglers == .fold, "\(client)'s late update of \(old) was admitted to \(key)")
    require(
      old.stage == key.stage && old.round + 1 == key.round, "\(client)'s update of \(old) came to \(key)")
    folded[key, default: [:]][client] = old
  }

  /// Returns the round that a client's update counts for: the update's round, or the one that it was folded into.
  private func counts(_ key: RoundKey, _ client: String) -> RoundKey {
    folded.first { $0.value[client] == key }?.key ?? key
  }

  /// Checks a committed round: its order, its quorum, that it has all confirmed updates, and its mean.
  func commit(_ store: Store) {
    guard let job = try? store.openJob(plan, at: Date()), let last = try? store.lastCommitted(of: job) else {
      return require(false, "nothing is committed")
    }
    let key = RoundKey(stage: last.stage.number, round: last.round.number, attempt: last.round.attempt)
    let expected =
      lastCommitted.map { plan.round(after: $0.key, $0.decision) } ?? RoundKey(stage: 1, round: 1)
    require(
      expected?.stage == key.stage && expected?.round == key.round,
      "\(key) is committed instead of \(expected.map { "\($0)" } ?? "nothing")")
    let rejected = ((try? store.updates(of: last.round)) ?? []).filter { $0.rejection != nil }
    for (client, rows) in Dictionary(grouping: rejected, by: \.client) {
      require(rows.count <= JobEngine.mostRecorded + 2, "\(key) has \(rows.count) rejections of \(client)")
    }
    let counted = (try? store.admitted(key)) ?? [:]
    committed[key] = Set(counted.keys)
    begin()
    require(counted.count >= plan.round.quorum, "\(key) is committed by \(counted.count) clients")
    let missing = (acknowledged[key] ?? []).subtracting(counted.keys)
    require(missing.isEmpty, "\(key) is committed without \(missing.sorted())")
    let weights = weights(counted)
    require(
      last.round.samples == weights.values.reduce(0, +), "\(key) counts \(last.round.samples ?? 0) samples")
    compare(last.parts, key, weights)
    let decision = following(key, weights)
    require(last.round.decision == decision, "\(key) is not followed by \(decision.rawValue)")
    lastCommitted = (RoundKey(stage: key.stage, round: key.round), decision)
    guard let result = try? store.snapshot(plan, last.stage, last.round) else {
      return require(false, "\(key) has other layers than the plan")
    }
    let (before, trained) = (base.versions, Set(result.stage.parts.map(\.name)))
    for (old, new) in zip(before, result.versions) where !trained.contains(new.name) {
      require(old == new, "\(key) has changed \(new.name), which it does not train")
    }
    (previous, base) = decision == .beginStage ? (nil, plan.grow(result)) : (base, result)
  }

  /// Returns what follows a round: with a fixed number of rounds, or by a controller that has seen all rounds without a
  /// crash.
  private func following(_ key: RoundKey, _ weights: [String: Int]) -> Decision {
    let end: Decision = key.stage < plan.stages ? .beginStage : .finish
    let most = plan.mostRounds(stage: key.stage)
    guard let controller else { return key.round < most ? .continueStage : end }
    let rule = controller.rule
    var isOver = key.round >= min(most, rule.maximum)
    if (key.round - 1) % rule.every == 0, let loss = lastLoss(key, weights) {
      let stop = controller.controller.decide(loss: loss, stage: key.stage - 1, &controllerState)
      if stop >= rule.threshold && key.round >= rule.minimum { isOver = true }
      controllerState.hasEnded = isOver
    }
    return isOver ? end : .continueStage
  }

  /// Returns the mean of the losses that clients have reported, weighted like their updates.
  private func lastLoss(_ key: RoundKey, _ weights: [String: Int]) -> Double? {
    var (sum, total) = (0.0, 0.0)
    for (name, samples) in weights.sorted(by: { $0.key < $1.key }) where samples > 0 {
      guard let loss = VirtualClient.lastLoss(name, folded[key]?[name] ?? key) else { continue }
      sum += Double(samples) * Double(loss)
      total += Double(samples)
    }
    return total > 0 ? Double(Float(sum / total)) : nil
  }

  /// Returns the weights of claims, limited to the plan's maximum or to ten times the lower median.
  private func weights(_ claims: [String: Int]) -> [String: Int] {
    // Sums are of all rows, and no claim is limited.
    guard !plan.isRegression else { return claims }
    let most = plan.round.maxSamples ?? plausible(claims)
    return claims.mapValues { $0 > most ? most : $0 }
  }

  /// Returns ten times the lower median of claims.
  private func plausible(_ claims: [String: Int]) -> Int {
    let half = claims.values.filter { claim in
      let counted = claims.values.filter { $0 > 0 }
      return claim > 0 && 2 * counted.count { $0 <= claim } >= counted.count
    }.min()
    return 10 * (half ?? 0)
  }

  /// Adds the sums of all clients again, and compares the exact step.
  private func compare(
    _ parts: [(name: String, weights: Data)], _ key: RoundKey, _ sums: BlockSums, _ claims: [String: Int]
  ) {
    var total = [Double](repeating: 0, count: sums.numbers)
    for name in claims.keys {
      let pairs = VirtualClient.update(name, key, of: plan)
      for index in total.indices { total[index] += Double(pairs[2 * index]) + Double(pairs[2 * index + 1]) }
    }
    let most = plausible(claims)
    let result = sums.next(after: base, total, rows: claims.values.reduce(0) { $0 + min($1, most) })
    let same = zip(parts, result.manifest).allSatisfy { Digest(of: $0.weights) == $1.digest }
    require(same, "\(key) is not the exact step of \(claims.keys.sorted())")
  }

  /// Returns a late update's difference from its base, added to the start of the current round.
  private func rebase(_ update: [Float]) -> [Float] {
    guard let previous else { return [] }
    let (old, new) = (Self.trained(previous), Self.trained(base))
    return update.indices.map { new[$0] + (update[$0] - old[$0]) }
  }

  private static func trained(_ snapshot: Snapshot) -> [Float] {
    let names = Set(snapshot.stage.parts.map(\.name))
    return snapshot.manifest.filter { names.contains($0.name) }.flatMap { version in
      (snapshot.data(version.digest) ?? Data()).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
  }

  /// Computes the weighted mean again, one client after another in the order of their names, and compares.
  private func compare(_ parts: [(name: String, weights: Data)], _ key: RoundKey, _ counted: [String: Int]) {
    let stage = plan.stage(key.stage)
    if case .sums(let sums) = stage.updateContent(round: key.round) {
      return compare(parts, key, sums, counted)
    }
    let total = counted.values.reduce(0, +)
    guard total > 0 else {
      let same = zip(parts, base.manifest).allSatisfy { Digest(of: $0.weights) == $1.digest }
      return require(same, "\(key) has another model, although no client has images")
    }
    var mean = [Float](repeating: 0, count: stage.count)
    for (name, samples) in counted.sorted(by: { $0.key < $1.key }) where samples > 0 {
      let weight = Float(Double(samples) / Double(total))
      let late = folded[key]?[name]
      let sent = VirtualClient.update(name, late ?? key, of: plan)
      let update = late == nil ? sent : rebase(sent)
      guard update.count == mean.count else { return require(false, "\(key) has an empty late update") }
      for index in mean.indices { mean[index] += weight * update[index] }
    }
    let bytes = mean.withUnsafeBytes { Data($0) }
    let names = Set(stage.parts.map(\.name))
    let stored = parts.filter { names.contains($0.name) }.reduce(Data()) { $0 + $1.weights }
    require(stored == bytes, "\(key) is not the mean of \(counted.keys.sorted())")
  }
}

/// Runs federations with faults (``VirtualFederation``), one per seed.
package enum Check {
  /// The result of one seed.
  package struct Outcome: Sendable {
    package let seed: UInt64
    package let rounds: Int
    /// The number of late updates that were folded in.
    package let late: Int
    package let events: Int
    /// The violated invariant; nil if there is none.
    package let failure: String?
  }

  /// Runs the federation of one seed in a temporary folder; `frame` gets every frame sent.
  @discardableResult
  package static func run(
    seed: UInt64, frame: @escaping @Sendable (Data) -> Void = { _ in }
  ) async throws -> Outcome {
    // The server's tasks run on this thread, which must therefore not be running another task.
    try await TrainingThread.run("seed \(seed)") { try federation(seed, frame) }
  }

  private static func federation(_ seed: UInt64, _ frame: @escaping (Data) -> Void) throws -> Outcome {
    let folder = Self.temporary.appendingPathComponent("strata-check-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let federation = VirtualFederation(seed: seed, folder: folder)
    federation.observer = frame
    federation.run()
    federation.end()
    return Outcome(
      seed: seed, rounds: federation.checker.rounds, late: federation.checker.late, events: federation.events,
      failure: federation.checker.failure)
  }

  /// A folder in memory if the system has one: thousands of databases need not be written to disk.
  private static var temporary: URL {
    let memory = URL(fileURLWithPath: "/dev/shm", isDirectory: true)
    return FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
  }
}
