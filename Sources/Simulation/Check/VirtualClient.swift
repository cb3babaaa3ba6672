import Engine
import Federation
import Foundation
import Wire

/// A client whose training is replaced: its update is whole numbers that follow from who it is and the round.
/// Protocol, cache and pending update do what the real ones do; the disk survives a crash.
final class VirtualClient {
  /// What a client does to the federation.
  enum Character: CaseIterable {
    case honest
    /// Sends numbers that are none.
    case notFinite
    /// Claims another length than what trains.
    case wrongSize
    /// Offers one update and sends another.
    case wrongBytes
    /// Offers the update of a round that is over.
    case stale
    /// Claims samples beyond all bounds.
    case boaster
    /// Claims as many samples as anybody may, of which few count.
    case greedy

    /// Whether its updates may be admitted.
    var isAdmitted: Bool { [.honest, .stale, .greedy].contains(self) }
    /// Offers what was trained from another model.
    case wrongBase
  }

  let number: Int
  let name: String
  let samples: Int
  let character: Character
  var participation = Participation()
  /// Bytes of every layer on the disk; whole where they are as many as its version has.
  var disk: [Digest: Data] = [:]
  /// The weights that training began from.
  private var base: [Float] = []
  var pendingUpdate: (offer: UpdateOffer, bytes: Data)?
  /// The last update that was judged, which a liar may offer again.
  var lastOffer: (offer: UpdateOffer, bytes: Data)?
  var link: Int?
  var lastHeard = Duration.zero
  /// Offers other bytes than those that it sends, once.
  var isLying = false
  var isUp = true
  /// Counts restarts, so that what an earlier life planned does not happen.
  var life = 0

  init(_ number: Int, samples: Int, character: Character) {
    (self.number, self.samples, self.character) = (number, samples, character)
    name = "client-\(number)"
  }

  func holds(_ version: PartVersion) -> Bool { disk[version.digest]?.count == version.bytes }

  /// Keeps a piece of a layer; nil until it is whole, then whether it is right.
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

  /// Training begins: the weights are read now, whatever happens to the disk meanwhile. Returns whether they are
  /// whole, where that matters.
  func begin(_ assignment: Assignment) -> Bool {
    let trained = Set(assignment.trained)
    base = assignment.parts.filter { trained.contains($0.name) }.flatMap { version in
      (disk[version.digest] ?? Data()).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    return assignment.codec == nil || assignment.parts.allSatisfy(holds)
  }

  /// The update for an assignment, as this client's character has it.
  func train(_ assignment: Assignment, _ plan: Plan) -> (offer: UpdateOffer, bytes: Data) {
    if character == .stale, let lastOffer { return lastOffer }
    let count =
      assignment.parts.filter { assignment.trained.contains($0.name) }.reduce(0) { $0 + $1.bytes } / 4
    var values = Self.update(name, assignment.key, count: count)
    if character == .notFinite { values[count / 2] = .nan }
    if character == .wrongSize { values.append(0) }
    let isWhole = character != .wrongSize
    let bytes = isWhole ? encode(values, assignment, plan) : values.withUnsafeBytes { Data($0) }
    let parts = character == .wrongBase ? Array(assignment.parts.dropFirst()) : assignment.parts
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: parts), digest: Digest(of: bytes), bytes: bytes.count,
      samples: claim, steps: 1, loss: 1, seconds: 1,
      codec: assignment.codec)
    if character == .wrongBytes || isLying {
      isLying = false
      return (offer, Data(count: bytes.count))
    }
    return (offer, bytes)
  }

  private var claim: Int {
    switch character {
    case .boaster: 1 << 40
    case .greedy: PlanLimits.samples
    case .honest, .notFinite, .wrongSize, .wrongBytes, .stale, .wrongBase: samples
    }
  }

  private func encode(_ values: [Float], _ assignment: Assignment, _ plan: Plan) -> Data {
    let kept = plan.keptBlocks(assignment.key, client: name)
    return plan.coding(assignment.codec ?? .plain, assignment.key.stage, keeping: kept)
      .encode(values, base: base, seed: assignment.seed)
  }

  /// What an honest client of a name sends in a round.
  static func update(_ name: String, _ key: RoundKey, count: Int) -> [Float] {
    var random = RandomNumbers(
      RandomNumbers.derive(1, "update of \(name)", [key.stage, key.round, key.attempt]))
    return (0..<count).map { _ in Float(random.next() >> 59) - 16 }
  }
}
