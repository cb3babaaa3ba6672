import Engine
import Federation
import Wire

/// What a plan costs one client with this software: what is sent, computed and taken, known before anything
/// runs.
package struct PlannedFigures: Sendable, Hashable, Codable {
  /// Bytes of weights over all rounds (``PlannedTraffic``).
  package let bytesDown: Int
  package let bytesUp: Int
  /// 10^9 floating-point operations for each of the client's images over all local epochs: both views, all
  /// branches, products alone, an addition and a multiplication each.
  package let gigaflopsPerImage: Double
  /// The trainer's memory at the stage where it is largest, with one thread and no limit.
  package let memoryBytes: Int
  /// That stage, counted from 1.
  package let memoryStage: Int

  /// For a client with so many images.
  package init(_ plan: Plan, images: Int) {
    let traffic = PlannedTraffic(plan)
    (bytesDown, bytesUp) = (traffic.bytesDown, traffic.bytesUp)
    let operations = PlannedOperations(plan, images: images)
    var memory = (bytes: 0, stage: 1)
    for index in 1...plan.stages {
      let stage = plan.exampleStage(index)
      let options = plan.trainingOptions(.whole, images: images)
      let bytes = MemoryPlan(stage, options, workers: 1).bytes
      if bytes > memory.bytes { memory = (bytes, index) }
    }
    gigaflopsPerImage = operations.rounds.reduce(0, +) / Double(images) / 1e9
    (memoryBytes, memoryStage) = (memory.bytes, memory.stage)
  }

  /// Download and upload.
  package var bytes: Int { bytesDown + bytesUp }
}

/// Floating-point operations of one client that takes part in every round: both views, all branches, products
/// alone, an addition and a multiplication each.
package struct PlannedOperations: Sendable, Hashable {
  /// All rounds of the job, in order.
  package let rounds: [Double]

  /// For a client with so many images.
  package init(_ plan: Plan, images: Int) {
    rounds = (1...plan.stages).flatMap { index in
      let stage = plan.exampleStage(index)
      let step = Self.training(plan, stage, images: images)
      return plan.roundKeys(stage: index).map { step + Self.filling(plan, stage, $0, images: images) }
    }
  }

  /// Operations of a local training. An epoch's incomplete last batch is dropped.
  private static func training(_ plan: Plan, _ stage: Stage, images: Int) -> Double {
    guard images >= 2 else { return 0 }
    let options = plan.trainingOptions(.whole, images: images)
    let step = OperationCount.step(
      stage, batch: options.batch, branches: options.branches(of: stage.model.objective).count,
      features: isCached(plan, stage))
    return Double(options.epochs * (images / options.batch)) * Double(step)
  }

  /// Whether a client reads what the frozen layers made of its views from a file.
  private static func isCached(_ plan: Plan, _ stage: Stage) -> Bool {
    plan.local.views > 0 && !stage.trainsStem
  }

  /// Operations to bring such a file up to date in a round: a stage takes it through the layers that have
  /// frozen since, and after a calibration it is made anew.
  private static func filling(_ plan: Plan, _ stage: Stage, _ key: RoundKey, images: Int) -> Double {
    guard isCached(plan, stage) else { return 0 }
    let operations = stage.model.encoder.operations
    let frozen = operations.blocks[..<stage.prefixDepth]
    let views = Double(images * plan.local.views)
    if plan.isCalibrated(before: key) || (key.round == 1 && key.stage == 2) {
      return views * Double(operations.stem + frozen.reduce(0, +))
    }
    return key.round == 1 ? views * Double(frozen.suffix(plan.method.layersPerStage).reduce(0, +)) : 0
  }
}

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

/// What a plan's rounds send to and from one client, by how numbers travel and by how many rounds it misses, beside
/// end-to-end training in float32. Computed; what zlib saves is left out. The names are those of
/// `fedsim traffic --json`.
package struct TrafficAccount: Sendable, Hashable, Codable {
  package struct Line: Sendable, Hashable, Codable {
    package let strategy: Strategy
    /// How updates travel, and how layers.
    package let codec: UpdateCodec
    package let layers: UpdateCodec
    /// The chance that the client misses a round.
    package let dropout: Float
    package let bytesUp: Int
    package let bytesDown: Int
    /// Of what plain end-to-end training sends to a client that misses as many.
    package let share: Double
  }

  package let name: String
  package let rounds: Int
  package let lines: [Line]

  /// How both ways are coded, from the least to the most.
  package static let codings: [(codec: UpdateCodec, layers: UpdateCodec)] = [
    (.plain, .plain), (.float32, .float32), (.bfloat16, .bfloat16), (.int8, .int8), (.int4, .int8),
    (.int4, .int4), (.topK, .int4),
  ]

  package init(_ plan: Plan, dropouts: [Float] = [0, 0.25, 0.5]) {
    (name, rounds) = (plan.name, plan.mostRounds)
    lines = dropouts.flatMap { dropout -> [Line] in
      var reference = plan.with(.endToEnd)
      reference.traffic = Plan.TrafficRules()
      let most = PlannedTraffic(reference, dropout: dropout)
      func line(_ plan: Plan, _ traffic: PlannedTraffic) -> Line {
        Line(
          strategy: plan.method.strategy, codec: plan.traffic.codec, layers: plan.traffic.layers,
          dropout: dropout, bytesUp: traffic.bytesUp, bytesDown: traffic.bytesDown,
          share: Double(traffic.bytesUp + traffic.bytesDown) / Double(most.bytesUp + most.bytesDown))
      }
      let coded = Self.codings.map { coding in
        var variant = plan
        (variant.traffic.codec, variant.traffic.layers) = coding
        return line(variant, PlannedTraffic(variant, dropout: dropout))
      }
      return [line(reference, most)] + coded
    }
  }
}
