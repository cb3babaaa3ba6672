import Engine
import Federation
import Foundation
import Server
import Testing
import Wire

/// A job engine with named clients, whose updates change every weight by `distance` times its size.
struct JobEngineDriver {
  let engine: JobEngine
  let store: Store
  var assignments: [String: Assignment] = [:]
  private(set) var notes: [ServerEvent] = []
  private(set) var releases: [String] = []
  var now = Duration.zero

  init(_ plan: Plan, _ folder: URL, _ names: [String], codecs: [UpdateCodec]? = nil) throws {
    store = try Store(folder.appendingPathComponent("strata.sqlite").path)
    engine = try JobEngine(plan, store: store, folder: folder, at: .zero)
    try follow(engine.advance(at: .zero))
    for name in names {
      try follow(engine.join(Hello(name: name, software: "test", codecs: codecs), at: .zero))
    }
  }

  /// Performs the effects at once in place of a server. Returns the verdict; nil if there is none.
  @discardableResult
  mutating func follow(_ effects: [JobEngine.Effect]) throws -> Acknowledgement? {
    var verdict: Acknowledgement?
    for effect in effects {
      switch effect {
      case .send(.assignment(let assignment), let name): assignments[name] = assignment
      case .send(.acknowledgement(let acknowledgement), _): verdict = acknowledgement
      case .aggregate(let aggregator):
        try follow(engine.finishAggregation(try aggregator.run(threads: 2), at: now))
      case .note(let event): notes.append(event)
      case .send(.release, let name): releases.append(name)
      case .send, .calibrate, .end: break
      }
    }
    return verdict
  }

  /// Advances the time.
  mutating func wait(_ time: Duration) throws {
    now += time
    try follow(engine.advance(at: now))
  }

  /// Returns the floats of an assignment's trained parts in the current model.
  func trained(_ assignment: Assignment) -> [Float] {
    let trained = Set(assignment.trained)
    return engine.snapshot.manifest.filter { trained.contains($0.name) }.flatMap {
      engine.snapshot.data($0.digest)?.floats ?? []
    }
  }

  /// Submits an update for an assignment that is not the client's latest.
  mutating func submit(_ update: [Float], _ assignment: Assignment, from name: String) throws -> Rejection? {
    let bytes = update.data
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1)
    return try judge(offer, bytes, from: name)
  }

  /// Returns the verdict on an offer, with its bytes if they are wanted.
  mutating func judge(_ offer: UpdateOffer, _ bytes: Data, from name: String) throws -> Rejection? {
    let isHere = engine.wants(offer, from: name)
    var fault: Rejection?
    if isHere {
      _ = store.updates.begin(offer, from: name)
      try store.updates.open(offer, from: name).write(bytes, at: 0)
      fault = try #require(engine.check(offer, from: name)).rejection(in: store.updates, from: name)
    }
    return try #require(
      try follow(engine.judge(offer, isHere: isHere, fault: fault, from: name, at: now))
    ).rejection
  }

  /// Submits an update for the client's assignment; `lastLoss` is the loss of its last epoch.
  mutating func submit(_ name: String, distance: Float, lastLoss: Float? = nil) throws -> Rejection? {
    let assignment = try #require(assignments[name])
    let trained = Set(assignment.trained)
    let base = assignment.parts.filter { trained.contains($0.name) }.flatMap {
      engine.weights($0.digest)?.floats ?? []
    }
    let update = base.map { $0 * (1 + distance) }.data
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: update),
      bytes: update.count, samples: 10, steps: 1, loss: 1, seconds: 1,
      metrics: lastLoss.map { [Metric.lastEpochLoss.name: $0] } ?? [:])
    #expect(engine.wants(offer, from: name))
    assignments[name] = nil
    return try judge(offer, update, from: name)
  }
}
