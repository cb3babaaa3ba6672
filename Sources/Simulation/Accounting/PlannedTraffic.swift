import Engine
import Federation
import Wire

/// Bytes of weights that pass between the server and one client that takes part in every round, or in some.
///
/// It follows the versions of the model's parts from round to round as server and client do: a round replaces
/// what it trains, a calibration everything, a stage adds parts; the client downloads the versions that it
/// does not hold, each once, and uploads what it trained. The messages around the weights
/// come on top, a few KB a round; coded weights are counted before zlib, which makes them smaller yet.
package struct PlannedTraffic: Sendable, Hashable, Codable {
  /// What passes in one round.
  package struct Round: Sendable, Hashable, Codable {
    package let key: RoundKey
    package fileprivate(set) var bytesDown = 0
    package fileprivate(set) var bytesUp = 0
    /// Versions that are downloaded, each for itself.
    package fileprivate(set) var layersDown = 0
  }

  /// All rounds of the job, in order.
  package private(set) var rounds: [Round] = []

  package var bytesDown: Int { rounds.reduce(0) { $0 + $1.bytesDown } }
  package var bytesUp: Int { rounds.reduce(0) { $0 + $1.bytesUp } }

  /// With depth dropout the blocks are those of the first of as many clients as a cohort has, under the
  /// names that `fedsim run` gives.
  ///
  /// - Parameter dropout: the chance that the client misses a round, drawn from the plan's seed.
  package init(_ plan: Plan, dropout: Float = 0) {
    var versions = PartVersionNumbers()
    var held: Set<Int> = []
    // How often each part had changed when the client last got it.
    var known: [String: Int] = [:]
    var numbers = RandomNumbers(plan.seed, "missed rounds")
    for index in 1...plan.stages {
      let stage = plan.stage(index)
      let parts = stage.model.parts
      versions.grow(to: stage.model, plan)
      let sizes = parts.map { $0.range.count * 4 }
      let (up, down) = (
        Self.coded(plan.traffic.codec, plan, stage), Self.coded(plan.traffic.layers, plan, stage)
      )
      let firstTrained = parts.count - stage.parts.count
      for key in plan.roundKeys(stage: index) {
        let isThere = dropout == 0 || !numbers.chance(dropout)
        let present = isThere ? Self.positions(plan, key, of: parts.count, client: 0) : []
        var round = Round(key: key)
        for position in present {
          let (name, changes) = (parts[position].name, versions.changes(of: position))
          if held.insert(versions[position]).inserted {
            // A delta chain of several steps, if that is shorter.
            let chain = known[name].map { (changes - $0) * down[position] } ?? .max
            round.bytesDown += min(chain, sizes[position])
            round.layersDown += 1
          }
          known[name] = changes
          if position >= firstTrained { round.bytesUp += up[position] }
        }
        rounds.append(round)
        // A client throws away what an assignment does not name, as a part that it has or as another.
        if isThere { held.formIntersection(parts.indices.map { versions[$0] }) }
        if plan.isCalibrated(after: key) {
          versions.change(parts.indices)
        } else {
          versions.change(Self.changed(plan, key, of: parts.count).filter { $0 >= firstTrained })
        }
      }
    }
  }

  /// Bytes of each part as a codec has them before zlib. What top-k keeps is shared out by size.
  private static func coded(_ codec: UpdateCodec, _ plan: Plan, _ stage: Stage) -> [Int] {
    stage.model.parts.map { part in
      guard codec == .topK else { return UpdateCoding(codec, part, of: stage.model).rawBytes }
      return Int((Double(part.range.count) * Double(plan.traffic.kept)).rounded(.up)) * 6
    }
  }

  /// The parts that exist at a client in a round: stem, blocks, and everything behind them.
  private static func positions(_ plan: Plan, _ key: RoundKey, of count: Int, client: Int) -> [Int] {
    guard plan.method.activeBlocks > 0 else { return Array(0..<count) }
    let depth = plan.stageDepth(key.stage)
    let name = Experiment.clientName(client, of: plan.round.cohort)
    return [0] + plan.keptBlocks(key, client: name).map { $0 + 1 } + Array(depth + 1..<count)
  }

  /// The parts that somebody in a round's cohort has.
  private static func changed(_ plan: Plan, _ key: RoundKey, of count: Int) -> Set<Int> {
    var changed: Set<Int> = []
    for client in 0..<plan.round.cohort where changed.count < count {
      changed.formUnion(positions(plan, key, of: count, client: client))
    }
    return changed
  }
}

/// The versions of the global model's parts, as numbers: the same number, the same bytes.
private struct PartVersionNumbers {
  private var names: [String] = []
  private var numbers: [Int] = []
  private var changes: [String: Int] = [:]
  private var last = 0

  /// The version of the part at a position.
  subscript(position: Int) -> Int { numbers[position] }

  /// How often the part at a position was replaced so far.
  func changes(of position: Int) -> Int { changes[names[position], default: 0] }

  mutating func change(_ positions: some Sequence<Int>) {
    for position in positions {
      changes[names[position], default: 0] += 1
      last += 1
      numbers[position] = last
    }
  }

  /// Starts a stage's model from the one below (``Initialisation/grow(_:into:from:_:_:layersPerStage:seed:)``):
  /// what both have stays, and with `transfer` a new block is a copy, unless it comes from a file, which is taken
  /// to hold all.
  mutating func grow(to model: Model, _ plan: Plan) {
    let copies = plan.method.initialisation == .transfer && plan.initial == nil
    let old = Dictionary(uniqueKeysWithValues: zip(names, numbers))
    names = model.parts.map(\.name)
    numbers = model.parts.enumerated().map { position, part in
      if let same = old[part.name] { return same }
      let isBlock = (1...model.depth).contains(position)
      if isBlock, copies, let source = old["blocks.\(position - 1 - plan.method.layersPerStage)"] {
        return source
      }
      last += 1
      return last
    }
  }
}
