import Engine
import Federation
import Foundation
import Server

/// What must hold whatever goes wrong, held against what happened.
final class Checker {
  /// Who has heard that an attempt at a round has its update.
  private var acknowledged: [RoundKey: Set<String>] = [:]
  private var committed: [RoundKey: Set<String>] = [:]
  private var lastCommitted: RoundKey?
  /// By round: whose updates were trained for the round before, and for which attempt at it.
  private var folded: [RoundKey: [String: RoundKey]] = [:]
  /// What the round under way started from, and the one before, if that was of the same stage.
  private lazy var base = plan.firstSnapshot()
  private var previous: Snapshot?
  private let plan: Plan
  private let clients: [VirtualClient]
  /// The attempt under way: since when, who was asked, and whose updates will not come.
  private var began = Duration.zero
  private var current: RoundKey?
  private var (asked, admitted, declined, rejected) = (
    Set<String>(), Set<String>(), Set<String>(), Set<String>()
  )
  var now = Duration.zero
  private(set) var failure: String?
  var rounds: Int { committed.count }
  /// Late updates that are part of a committed round.
  var late: Int { folded.filter { committed[$0.key] != nil }.reduce(0) { $0 + $1.value.count } }

  init(_ plan: Plan, _ clients: [VirtualClient]) { (self.plan, self.clients) = (plan, clients) }

  func require(_ holds: Bool, _ claim: @autoclosure () -> String) {
    if !holds && failure == nil { failure = claim() }
  }

  /// The server is about to tell a client that its update is admitted: then it must be stored.
  func acknowledge(_ key: RoundKey, to client: String, _ store: Store) {
    let key = counts(key, client)
    let stored = (try? store.admitted(key)) ?? [:]
    require(stored[client] != nil, "\(client) is told that \(key) has its update, which is not stored")
  }

  /// A client heard that its update is admitted.
  func hear(_ key: RoundKey, _ client: VirtualClient) {
    let key = counts(key, client.name)
    acknowledged[key, default: []].insert(client.name)
    require(client.character.isAdmitted, "\(client.name) lied and was admitted")
    if let counted = committed[key] {
      require(
        counted.contains(client.name), "\(key) was committed without \(client.name), which it had admitted")
    }
  }

  /// The server says that it has admitted an update.
  func admit(_ key: RoundKey, _ client: String) {
    let character = clients.first { $0.name == client }?.character
    require(character?.isAdmitted ?? false, "\(client) lied and was admitted to \(key)")
    (asked, admitted) = (asked.union([client]), admitted.union([client]))
  }

  /// What else the server says of its rounds.
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
    default: break
    }
  }

  /// An attempt failed: because too many were rejected, because some were and for a deadline no others came in their
  /// place, because enough were left to do it and did not, or because the timeout had passed; never because
  /// somebody declined.
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

  /// A late update was admitted: of the stage's round just before, and only where the plan allows it.
  func fold(_ old: RoundKey, into key: RoundKey, _ client: String) {
    admit(key, client)
    require(plan.round.stragglers == .fold, "\(client)'s late update of \(old) was admitted to \(key)")
    require(
      old.stage == key.stage && old.round + 1 == key.round, "\(client)'s update of \(old) came to \(key)")
    folded[key, default: [:]][client] = old
  }

  /// The round that an update of a client counts for: its own, or the one that it was folded into.
  private func counts(_ key: RoundKey, _ client: String) -> RoundKey {
    folded.first { $0.value[client] == key }?.key ?? key
  }

  /// A round was committed: in order, by a quorum, with all that were told so, and as the oracle has it.
  func commit(_ store: Store) {
    guard let job = try? store.openJob(plan, at: Date()), let last = try? store.lastCommitted(of: job) else {
      return require(false, "nothing is committed")
    }
    let key = RoundKey(stage: last.stage.number, round: last.round.number, attempt: last.round.attempt)
    let expected = lastCommitted.map { plan.round(after: $0, following($0)) } ?? RoundKey(stage: 1, round: 1)
    require(
      expected?.stage == key.stage && expected?.round == key.round,
      "\(key) is committed instead of \(expected.map { "\($0)" } ?? "nothing")")
    lastCommitted = RoundKey(stage: key.stage, round: key.round)
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
    let result = Snapshot(plan.stage(key.stage), parts: last.parts.map(\.weights))
    let grows = following(key) == .beginStage
    (previous, base) = grows ? (nil, plan.grow(result)) : (base, result)
  }

  /// What follows a round of a fixed curriculum.
  private func following(_ key: RoundKey) -> Decision { plan.curriculum.next(after: key, history: []) }

  /// What claims count for: as many as the plan says at most, or ten times the least that half of them do not exceed.
  private func weights(_ claims: [String: Int]) -> [String: Int] {
    let half = claims.values.filter { claim in 2 * claims.values.count { $0 <= claim } >= claims.count }.min()
    let most = plan.round.maxSamples ?? 10 * (half ?? 0)
    return claims.mapValues { $0 > most ? most : $0 }
  }

  /// A late update's difference from what it was trained from, on top of what this round started from.
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

  /// The weighted mean once more, one client after the other in the order of their names.
  private func compare(_ parts: [(name: String, weights: Data)], _ key: RoundKey, _ counted: [String: Int]) {
    let stage = plan.stage(key.stage)
    let total = counted.values.reduce(0, +)
    guard total > 0 else { return }
    var mean = [Float](repeating: 0, count: stage.count)
    for (name, samples) in counted.sorted(by: { $0.key < $1.key }) {
      let weight = Float(Double(samples) / Double(total))
      let late = folded[key]?[name]
      let sent = VirtualClient.update(name, late ?? key, count: mean.count)
      let update = late == nil ? sent : rebase(sent)
      guard update.count == mean.count else { return require(false, "\(key) has a late update of nothing") }
      for index in mean.indices { mean[index] += weight * update[index] }
    }
    let bytes = mean.withUnsafeBytes { Data($0) }
    let names = Set(stage.parts.map(\.name))
    let stored = parts.filter { names.contains($0.name) }.reduce(Data()) { $0 + $1.weights }
    require(stored == bytes, "\(key) is not the mean of \(counted.keys.sorted())")
  }
}

/// Runs federations under faults (``VirtualFederation``), one a seed.
package enum Check {
  /// How a seed's federation went.
  package struct Outcome: Sendable {
    package let seed: UInt64
    package let rounds: Int
    /// Updates that came late and were folded in.
    package let late: Int
    package let events: Int
    /// What did not hold; nil where everything did.
    package let failure: String?
  }

  /// Runs the federation of one seed, in a folder that is gone afterwards; `frame` gets every frame that is
  /// sent.
  @discardableResult
  package static func run(
    seed: UInt64, frame: @escaping @Sendable (Data) -> Void = { _ in }
  ) async throws -> Outcome {
    // The server's tasks run on this one thread, which must not be in the midst of another task.
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

  /// In memory where the system has such a place: thousands of databases need not reach a disk.
  private static var temporary: URL {
    let memory = URL(fileURLWithPath: "/dev/shm", isDirectory: true)
    return FileManager.default.isWritableFile(atPath: memory.path)
      ? memory : FileManager.default.temporaryDirectory
  }
}
