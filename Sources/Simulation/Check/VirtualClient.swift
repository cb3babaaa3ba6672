import Engine
import Federation
import Foundation
import Wire

/// A client with a simulated training: its update consists of integers that depend on its name and the round. Protocol,
/// cache and pending update behave like the real ones; the disk survives a crash.
final class VirtualClient {
  /// The behaviour of a client.
  enum Character: CaseIterable {
    case honest
    /// Sends numbers that are not finite.
    case notFinite
    /// Claims a length other than that of the trained layers.
    case wrongSize
    /// Offers one update and sends another.
    case wrongBytes
    /// Offers the update of an earlier round.
    case stale
    /// Claims more samples than allowed.
    case boaster
    /// Claims the maximum number of samples, few of which count.
    case greedy

    /// Whether its updates may be admitted.
    var isAdmitted: Bool { [.honest, .stale, .greedy].contains(self) }
    /// Offers an update with another base model.
    case wrongBase
  }

  let number: Int
  let name: String
  let samples: Int
  let character: Character
  var participation = Participation()
  /// The bytes of every layer on the disk; a layer is complete when it has the length of its version.
  var disk: [Digest: Data] = [:]
  /// The weights at the start of the training.
  private var base: [Float] = []
  var pendingUpdate: (offer: UpdateOffer, bytes: Data)?
  /// The last judged update, which a faulty client may offer again.
  var lastOffer: (offer: UpdateOffer, bytes: Data)?
  var link: Int?
  var lastHeard = Duration.zero
  /// Whether it once offers other bytes than it sends.
  var isLying = false
  var isUp = true
  /// The number of restarts, which cancels events scheduled before a restart.
  var life = 0

  init(_ number: Int, samples: Int, character: Character) {
    (self.number, self.samples, self.character) = (number, samples, character)
    name = "client-\(number)"
  }

  func holds(_ version: PartVersion) -> Bool { disk[version.digest]?.count == version.bytes }

  /// Stores a piece of a layer. Returns nil until the layer is complete, then whether it is correct.
  func store(_ head: LayerData, _ bytes: Data) -> Bool? {
    let kept = disk[head.digest] ?? Data()
    guard head.offset == kept.count else { return nil }
    let whole = kept + bytes
    disk[head.digest] = whole
    guard whole.count == head.total else { return nil }
    guard Digest(of: whole) == head.digest else {
      disk[head.digest] = nil
      return false
    }
    return true
  }

  /// Begins a training and reads the weights, so that later damage to the disk has no effect. Returns false if they are
  /// incomplete and needed.
  func begin(_ assignment: Assignment) -> Bool {
    let trained = Set(assignment.trained)
    base = assignment.parts.filter { trained.contains($0.name) }.flatMap { version in
      (disk[version.digest] ?? Data()).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    return assignment.codec == nil || assignment.parts.allSatisfy(holds)
  }

  /// Returns the update for an assignment, according to the client's character.
  func train(_ assignment: Assignment, _ plan: Plan) -> (offer: UpdateOffer, bytes: Data) {
    if character == .stale, let lastOffer { return lastOffer }
    let remaining = remaining(stage: assignment.key.stage, of: plan)
    if character == .honest, remaining == 0 {
      return (UpdateOffer(emptyFor: assignment.key, base: Snapshot.base(of: assignment.parts)), Data())
    }
    var values = Self.update(name, assignment.key, of: plan)
    if character == .notFinite { values[values.count / 2] = .nan }
    if character == .wrongSize { values.append(0) }
    let isWhole = character != .wrongSize
    let bytes = isWhole ? encode(values, assignment, plan) : values.withUnsafeBytes { Data($0) }
    let parts = character == .wrongBase ? Array(assignment.parts.dropFirst()) : assignment.parts
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: parts), digest: Digest(of: bytes), bytes: bytes.count,
      samples: claim(remaining), steps: 1, loss: 1, seconds: 1,
      metrics: Self.lastLoss(name, assignment.key).map { [Metric.lastEpochLoss.name: $0] } ?? [:],
      codec: assignment.codec)
    if character == .wrongBytes || isLying {
      isLying = false
      return (offer, Data(count: bytes.count))
    }
    return (offer, bytes)
  }

  /// Returns the images that a cascade leaves for a stage: in each stage a random share of those before.
  private func remaining(stage: Int, of plan: Plan) -> Int {
    guard plan.method.cascade != nil else { return samples }
    return (1..<stage).reduce(samples) { left, stage in
      var random = RandomNumbers(RandomNumbers.derive(plan.seed, "remaining of \(name)", [stage]))
      return random.chance(0.3) ? 0 : Int(Float(left) * random.uniform())
    }
  }

  private func claim(_ remaining: Int) -> Int {
    switch character {
    case .boaster: 1 << 40
    case .greedy: PlanLimits.samples
    case .honest, .notFinite, .wrongSize, .wrongBytes, .stale, .wrongBase: max(remaining, 1)
    }
  }

  private func encode(_ values: [Float], _ assignment: Assignment, _ plan: Plan) -> Data {
    return PlanStages(plan).coding(assignment.codec, assignment.key, client: name)
      .encode(values, base: base, seed: assignment.seed)
  }

  /// Returns the loss of a client's last epoch in a round; nil if it does not report it.
  static func lastLoss(_ name: String, _ key: RoundKey) -> Float? {
    var random = RandomNumbers(
      RandomNumbers.derive(1, "loss of \(name)", [key.stage, key.round, key.attempt]))
    return random.chance(0.1) ? nil : random.uniform(0, 20)
  }

  /// Returns the update that an honest client sends in a round: trained parts, or sums over rows that do not exist.
  static func update(_ name: String, _ key: RoundKey, of plan: Plan) -> [Float] {
    var random = RandomNumbers(
      RandomNumbers.derive(1, "update of \(name)", [key.stage, key.round, key.attempt]))
    let stage = plan.stage(key.stage, keeping: plan.keptBlocks(key, client: name))
    func integer() -> Float { Float(random.next() >> 59) - 16 }
    switch stage.updateContent(round: key.round) {
    case .parameters: return (0..<stage.count).map { _ in integer() }
    case .sums(let sums): return FloatPairs.encode(self.sums(sums) { Double(integer()) })
    }
  }

  /// Returns integers that can be sums over rows: second moments are of three rows, and a squared norm is not negative.
  private static func sums(_ sums: BlockSums, _ integer: () -> Double) -> [Double] {
    guard sums.kind != .curvature else { return [10_000 * (17 + integer())] }
    let gradient = (0..<sums.gradientCount).map { _ in integer() }
    guard sums.kind == .gradientAndMoments else { return gradient }
    let rows = (0..<3).map { _ in (0..<sums.shape.columns).map { _ in integer() } }
    return gradient
      + (0..<sums.shape.columns).flatMap { a in
        (a..<sums.shape.columns).map { b in rows.reduce(0) { $0 + $1[a] * $1[b] } }
      }
  }
}
