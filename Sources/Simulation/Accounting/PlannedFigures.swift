import Engine
import Federation
import Wire

/// The costs of a plan for one client of this software: traffic, operations and memory, computed in advance.
package struct PlannedFigures: Sendable, Hashable, Codable {
  /// The bytes of weights over all rounds (``PlannedTraffic``).
  package let bytesDown: Int
  package let bytesUp: Int
  /// The floating-point operations per image of the client over all local epochs, in 10^9: both views, all branches,
  /// products only, with one addition and one multiplication each.
  package let gigaflopsPerImage: Double
  /// The trainer's memory in the stage that needs most, with one thread and no limit.
  package let memoryBytes: Int
  /// The stage that needs most memory, counted from 1.
  package let memoryStage: Int

  /// Uses a client with `images` images.
  package init(_ plan: Plan, images: Int) {
    let traffic = PlannedTraffic(plan)
    (bytesDown, bytesUp) = (traffic.bytesDown, traffic.bytesUp)
    let operations = PlannedOperations(plan, images: images)
    var memory = (bytes: 0, stage: 1)
    for index in 1...plan.stages {
      let stage = plan.exampleStage(index)
      let options = plan.trainingOptions(.whole, stage: index, images: images)
      let bytes = MemoryPlan(stage, options, workers: 1).bytes
      if bytes > memory.bytes { memory = (bytes, index) }
    }
    gigaflopsPerImage = operations.rounds.reduce(0, +) / Double(images) / 1e9
    (memoryBytes, memoryStage) = (memory.bytes, memory.stage)
  }

  /// The sum of download and upload.
  package var bytes: Int { bytesDown + bytesUp }
}

/// The floating-point operations of one client that takes part in every round: both views, all branches, products only,
/// with one addition and one multiplication each.
package struct PlannedOperations: Sendable, Hashable {
  /// The operations of each round of the job, in order.
  package let rounds: [Double]

  /// Uses a client with `images` images.
  package init(_ plan: Plan, images: Int) {
    rounds = (1...plan.stages).flatMap { index in
      let stage = plan.exampleStage(index)
      let step = Self.training(plan, stage, images: images)
      return plan.roundKeys(stage: index).map { step + Self.filling(plan, stage, $0, images: images) }
    }
  }

  /// Returns the operations of a local training. The incomplete last batch of an epoch is dropped.
  private static func training(_ plan: Plan, _ stage: Stage, images: Int) -> Double {
    guard images >= 2 else { return 0 }
    let options = plan.trainingOptions(.whole, stage: stage.index, images: images)
    let step = OperationCount.step(
      stage, batch: options.batch, branches: options.branches(of: stage.model.objective).count,
      features: isCached(plan, stage), localViews: options.localViews)
    return Double(options.epochs * (images / options.batch)) * Double(step)
  }

  /// Returns whether a client caches the frozen layers' outputs in a file.
  private static func isCached(_ plan: Plan, _ stage: Stage) -> Bool {
    plan.local.views > 0 && !stage.trainsStem
  }

  /// Returns the operations to update this cache in a round: a new stage applies the newly frozen layers; after a
  /// calibration all entries are computed again.
  private static func filling(_ plan: Plan, _ stage: Stage, _ key: RoundKey, images: Int) -> Double {
    guard isCached(plan, stage) else { return 0 }
    let operations = stage.model.encoder.operations
    let frozen = operations.blocks[..<stage.prefixDepth]
    let views = Double(images * plan.local.views)
    // The first stage of a lap has trained the stem.
    if plan.isCalibrated(before: key) || (key.round == 1 && key.stage % plan.steps == 2 % plan.steps) {
      return views * Double(operations.stem + frozen.reduce(0, +))
    }
    return key.round == 1 ? views * Double(frozen.suffix(plan.method.layersPerStage).reduce(0, +)) : 0
  }
}

/// The bytes of weights exchanged between the server and one client that takes part in all rounds, or in some.
///
/// It follows the versions of the model's parts from round to round: a round replaces the parts it trains, a
/// calibration replaces all, and a stage adds parts. The client downloads each version that it lacks once, and uploads
/// what it trained. Message overhead of a few KB per round is not counted; coded weights are counted before compression
/// with zlib.
package struct PlannedTraffic: Sendable, Hashable, Codable {
  /// The traffic of one round.
  package struct Round: Sendable, Hashable, Codable {
    package let key: RoundKey
    package fileprivate(set) var bytesDown = 0
    package fileprivate(set) var bytesUp = 0
    /// The number of versions downloaded, each of which is fetched separately.
    package fileprivate(set) var layersDown = 0
  }

  /// The traffic of each round of the job, in order.
  package private(set) var rounds: [Round] = []

  package var bytesDown: Int { rounds.reduce(0) { $0 + $1.bytesDown } }
  package var bytesUp: Int { rounds.reduce(0) { $0 + $1.bytesUp } }

  /// With depth dropout, the blocks are those of the first client of a cohort, named as in `fedsim run`.
  ///
  /// - Parameter dropout: the probability that the client misses a round, drawn from the plan's seed.
  package init(_ plan: Plan, dropout: Float = 0) {
    var versions = PartVersionNumbers()
    var held: Set<Int> = []
    // How often each part had changed when the client last received it.
    var known: [String: Int] = [:]
    var numbers = RandomNumbers(plan.seed, "missed rounds")
    for index in 1...plan.stages {
      let stage = plan.stage(index)
      let parts = stage.model.parts
      for name in versions.grow(to: stage, plan) { known[name] = nil }
      let sizes = parts.map { $0.range.count * 4 }
      let (up, down) = (
        Self.coded(plan.traffic.codec, plan, stage), Self.coded(plan.traffic.layers, plan, stage)
      )
      let trainedNames = Set(stage.parts.map(\.name))
      let trained = Set(parts.indices.filter { trainedNames.contains(parts[$0].name) })
      for key in plan.roundKeys(stage: index) {
        let isThere = dropout == 0 || !numbers.chance(dropout)
        let present = isThere ? Self.positions(plan, key, of: parts.count, client: 0) : []
        var round = Round(key: key)
        for position in present {
          let (name, changes) = (parts[position].name, versions.changes(of: position))
          if held.insert(versions[position]).inserted {
            // Uses a delta chain of several steps if that is shorter.
            let chain = known[name].map { (changes - $0) * down[position] } ?? .max
            round.bytesDown += min(chain, sizes[position])
            round.layersDown += 1
          }
          known[name] = changes
          if trained.contains(position) { round.bytesUp += up[position] }
        }
        if case .sums(let sums) = stage.updateContent(round: key.round) {
          round.bytesUp = isThere ? 4 * sums.count : 0
        }
        rounds.append(round)
        // A client deletes the versions that an assignment does not name, neither as its parts nor as others'.
        if isThere { held.formIntersection(versions.all) }
        if plan.isCalibrated(after: key) {
          let calibrated = Set(stage.trainingEverything.parts.map(\.name))
          versions.change(parts.indices.filter { calibrated.contains(parts[$0].name) })
        } else {
          let changed = stage.partsChanged(round: key.round)
          versions.change(
            Self.changed(plan, key, of: parts.count).filter {
              trained.contains($0) && changed?.contains(parts[$0].name) ?? true
            })
        }
      }
    }
  }

  /// Returns the bytes of each part as coded, before zlib. The values that top-k keeps are divided by size.
  private static func coded(_ codec: UpdateCodec, _ plan: Plan, _ stage: Stage) -> [Int] {
    stage.model.parts.map { part in
      guard codec == .topK else { return UpdateCoding(codec, part, of: stage.model).rawBytes }
      return Int((Double(part.range.count) * Double(plan.traffic.kept)).rounded(.up)) * 6
    }
  }

  /// Returns the positions of the parts that a client has in a round: stem, blocks, and all parts after them.
  private static func positions(_ plan: Plan, _ key: RoundKey, of count: Int, client: Int) -> [Int] {
    guard plan.method.activeBlocks > 0 else { return Array(0..<count) }
    let depth = plan.stageDepth(key.stage)
    let name = Experiment.clientName(client, of: plan.round.cohort)
    return [0] + plan.keptBlocks(key, client: name).map { $0 + 1 } + Array(depth + 1..<count)
  }

  /// Returns the parts that at least one client of a round's cohort has.
  private static func changed(_ plan: Plan, _ key: RoundKey, of count: Int) -> Set<Int> {
    var changed: Set<Int> = []
    for client in 0..<plan.round.cohort where changed.count < count {
      changed.formUnion(positions(plan, key, of: count, client: client))
    }
    return changed
  }
}

/// The versions of the global model's parts as numbers; equal numbers mean equal bytes.
private struct PartVersionNumbers {
  private var names: [String] = []
  private var numbers: [Int] = []
  private var changes: [String: Int] = [:]
  private var last = 0
  private var model: Model?
  /// The numbers of the layers that wait in a later lap.
  private var waiting: [String: Int] = [:]
  /// The numbers of readout and heads in an exit, by its number.
  private var contents: [Int: [Int]] = [:]

  /// The version of the part at a position.
  subscript(position: Int) -> Int { numbers[position] }

  /// The versions of all layers, also of those that wait in a later lap.
  var all: [Int] { numbers + waiting.values }

  /// Returns how often the part at a position has been replaced.
  func changes(of position: Int) -> Int { changes[names[position], default: 0] }

  mutating func change(_ positions: some Sequence<Int>) {
    for position in positions {
      changes[names[position], default: 0] += 1
      last += 1
      numbers[position] = last
    }
  }

  private mutating func next() -> Int {
    last += 1
    return last
  }

  /// Creates a stage's model from the one below. Returns the names of parts that do not go on from a version of the same
  /// name.
  mutating func grow(to stage: Stage, _ plan: Plan) -> [String] {
    let layers = layers()
    let next = stage.model
    // The classifier of a ResNet has another width at each stage, and starts at random.
    var anew = next.parts.filter { part in
      model?.part(part.name).map { $0.range.count != part.range.count } ?? false
    }.map(\.name)
    if let below = model, stage.content.lap > 1, plan.method.classification != nil {
      anew = arrange(next, layers) + [Exit.part(below.depth)]
    } else {
      numbers = added(next, layers, plan, fresh: Set(anew))
    }
    (model, names) = (next, next.parts.map(\.name))
    return anew
  }

  /// Returns the numbers of all layers by their names in later stages (``Model/lastingParts``).
  private mutating func layers() -> [String: Int] {
    guard let model else { return [:] }
    var layers = waiting
    var heads: [Int] = []
    for (part, number) in zip(model.parts, numbers) {
      if model.headRange.contains(part.range.lowerBound) {
        heads.append(number)
      } else {
        layers[part.name] = number
      }
    }
    // An exit of a single part has its bytes.
    let exit = heads.count == 1 ? heads[0] : next()
    contents[exit] = heads
    layers[Exit.part(model.depth)] = exit
    return layers
  }

  /// Returns the numbers of a stage with new layers (``Initialisation/grow(_:into:from:_:_:layersPerStage:seed:)``).
  /// Common parts stay. With `transfer` a new block is a copy, unless the plan has an initial file, which is assumed to
  /// contain all parts.
  private mutating func added(
    _ next: Model, _ layers: [String: Int], _ plan: Plan, fresh: Set<String>
  ) -> [Int] {
    let copies = plan.method.initialisation == .transfer && plan.initial == nil
    let old = layers.merging(zip(names, numbers)) { _, own in own }
    return next.parts.enumerated().map { position, part in
      if fresh.contains(part.name) { return self.next() }
      if let same = old[part.name] { return same }
      let block = position - next.stemParts
      let isBlock = (0..<next.depth).contains(block)
      if isBlock, copies, let source = old["blocks.\(block - plan.method.layersPerStage)"] {
        return source
      }
      return self.next()
    }
  }

  /// Arranges all layers as the model of a stage (``Snapshot/arranged(as:waiting:)``). Returns the names of readout and
  /// heads, which are those of an exit.
  private mutating func arrange(_ next: Model, _ layers: [String: Int]) -> [String] {
    var heads = (layers[Exit.part(next.depth)].flatMap { contents[$0] } ?? [])[...]
    numbers = next.parts.map { part in
      next.headRange.contains(part.range.lowerBound)
        ? heads.popFirst() ?? self.next() : layers[part.name] ?? self.next()
    }
    let there = Set(next.lastingParts.map(\.name))
    waiting = layers.filter { !there.contains($0.key) }
    return next.parts.filter { next.headRange.contains($0.range.lowerBound) }.map(\.name)
  }
}

/// The traffic of a plan's rounds for one client, by codecs and rate of missed rounds, compared with end-to-end
/// training in float32. It is computed, without the savings of zlib. The names are those of `fedsim traffic --json`.
package struct TrafficAccount: Sendable, Hashable, Codable {
  package struct Line: Sendable, Hashable, Codable {
    package let strategy: Strategy
    /// The codecs of updates and of layers.
    package let codec: UpdateCodec
    package let layers: UpdateCodec
    /// The probability that the client misses a round.
    package let dropout: Float
    package let bytesUp: Int
    package let bytesDown: Int
    /// The fraction of the traffic of plain end-to-end training with the same dropout.
    package let share: Double
  }

  package let name: String
  package let rounds: Int
  package let lines: [Line]

  /// The combinations of codecs, from the least to the most compressed.
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
