import Engine
import Federation

/// Bytes of weights that pass between the server and one client that takes part in every round.
///
/// It follows the versions of the model's parts from round to round as server and client do: a round replaces
/// what it trains, a calibration everything, a stage adds parts; the client downloads the versions that it
/// does not hold, each once, and uploads what it trained. The messages around the weights
/// come on top: a few KB a round.
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
  package init(_ plan: Plan) {
    var versions = PartVersionNumbers()
    var held: Set<Int> = []
    for index in 1...plan.stages {
      let stage = plan.stage(index)
      let parts = stage.model.parts
      versions.grow(to: stage.model, plan)
      let sizes = parts.map { $0.range.count * 4 }
      let firstTrained = parts.count - stage.parts.count
      for key in plan.roundKeys(stage: index) {
        let present = Self.positions(plan, key, of: parts.count, client: 0)
        var round = Round(key: key)
        for position in present {
          if held.insert(versions[position]).inserted {
            round.bytesDown += sizes[position]
            round.layersDown += 1
          }
          if position >= firstTrained { round.bytesUp += sizes[position] }
        }
        rounds.append(round)
        // A client throws away what an assignment does not name, as a part that it has or as another.
        held.formIntersection(parts.indices.map { versions[$0] })
        if plan.isCalibrated(after: key) {
          versions.change(parts.indices)
        } else {
          versions.change(Self.changed(plan, key, of: parts.count).filter { $0 >= firstTrained })
        }
      }
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
  private var last = 0

  /// The version of the part at a position.
  subscript(position: Int) -> Int { numbers[position] }

  mutating func change(_ positions: some Sequence<Int>) {
    for position in positions {
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
