import Datasets
import Engine
import Federation
import Foundation
import Testing

/// Laps of plans with labels: in a later lap a stage goes on from its layers and its exit as it left them, and the
/// layers above wait.
@Suite struct LapsTests {
  static let encoders = [
    EncoderConfiguration(image: 8, channels: 1, patch: 4, width: 8, depth: 3, heads: 2, mlpRatio: 1),
    EncoderConfiguration(
      ResNetConfiguration(images: ImageInput(side: 8, channels: 1), width: 3, depth: 3)),
  ]

  private func plan(_ encoder: EncoderConfiguration, laps: Int = 3, layersPerStage: Int = 1) -> Plan {
    var plan = Plan(encoder: encoder)
    (plan.method.objective, plan.method.alignment, plan.method.laps) = (.classification, 0, laps)
    plan.method.layersPerStage = layersPerStage
    plan.method.classification = Plan.Classification(classes: .count(4), hidden: 5)
    if encoder.family == .resnet {
      plan.method.initialisation = .random
      plan.method.classification?.grid = 2
    }
    return plan
  }

  /// The layers of a snapshot by their names in later stages.
  private func layers(_ snapshot: Snapshot) -> [String: Data] {
    let model = snapshot.stage.model
    var layers: [String: Data] = [:]
    for (part, version) in zip(model.parts, snapshot.manifest) {
      let isHead = model.headRange.contains(part.range.lowerBound)
      layers[isHead ? "exits.\(model.depth)" : part.name, default: Data()] += snapshot.data(version.digest)!
    }
    for version in snapshot.waiting { layers[version.name] = snapshot.data(version.digest)! }
    return layers
  }

  /// Replaces the trained weights with random numbers.
  private func trained(_ snapshot: Snapshot, seed: UInt64) -> Snapshot {
    var random = RandomNumbers(seed, "stage \(snapshot.stage.index)")
    let values = snapshot.stage.entries.flatMap { entry in
      // A variance is not negative.
      (0..<entry.slot.count).map { _ in
        entry.name.hasSuffix("running_var") ? 0.5 + abs(random.normal()) : 0.5 * random.normal()
      }
    }
    return snapshot.replacing(trained: values)
  }

  /// Returns the model at the end of a stage whose stages before have trained.
  private func end(of index: Int, _ plan: Plan, seed: UInt64) -> Snapshot {
    (1...index).reduce(plan.firstSnapshot()) { model, stage in
      trained(stage == 1 ? model : plan.grow(model), seed: seed)
    }
  }

  @Test(arguments: encoders) func aStageOfALaterLapIsThatOfTheFirst(encoder: EncoderConfiguration) {
    let plan = plan(encoder)
    #expect(plan.problems == [] && plan.stages == 9)
    for index in 4...9 {
      let (stage, first) = (plan.stage(index), plan.stage((index - 1) % 3 + 1))
      #expect(stage.content.lap == (index - 1) / 3 + 1)
      #expect(stage.parts.map(\.name) == first.parts.map(\.name) && stage.ranges == first.ranges)
      #expect(stage.model.parts == first.model.parts)
      let options = plan.trainingOptions(.whole, stage: index, images: 16)
      #expect(
        MemoryPlan(stage, options, workers: 2).bytes == MemoryPlan(first, options, workers: 2).bytes)
    }
    let head = encoder.family == .resnet ? ["classifier"] : ["norm", "classifier"]
    #expect(plan.stage(4).model.parts.map(\.name) == ["stem", "blocks.0"] + head)
    #expect(
      plan.waitingParts(stage: 4).map(\.name) == ["blocks.1", "blocks.2", "exits.2", "exits.3"])
    #expect(plan.waitingParts(stage: 5).map(\.name) == ["blocks.2", "exits.3"])
    #expect(
      (1...3).allSatisfy { plan.waitingParts(stage: $0).isEmpty } && plan.waitingParts(stage: 6).isEmpty)
  }

  /// Over two more laps every stage begins with exactly the layers that were left, and changes only its own.
  @Test(arguments: encoders, [1, 3]) func whatDoesNotTrainStaysToTheBit(
    encoder: EncoderConfiguration, layersPerStage: Int
  ) {
    let seed = UInt64.random(in: 0...1_000_000)
    let plan = plan(encoder, layersPerStage: layersPerStage)
    var model = end(of: plan.steps, plan, seed: seed)
    for index in plan.steps + 1...plan.stages {
      let begun = plan.grow(model)
      #expect(layers(begun) == layers(model), "stage \(index), seed \(seed)")
      model = trained(begun, seed: seed)
      let (before, after) = (layers(begun), layers(model))
      let changed = Set(before.keys.filter { before[$0] != after[$0] })
      let depth = begun.stage.model.depth
      let blocks = (depth - layersPerStage..<depth).map { "blocks.\($0)" }
      let expected = Set(blocks + ["exits.\(depth)"] + (depth == layersPerStage ? ["stem"] : []))
      #expect(changed == expected && before.keys == after.keys, "stage \(index), seed \(seed)")
      #expect(model.waiting == begun.waiting)
    }
  }

  /// Nothing is initialised in a later lap, neither at random nor from the plan's file.
  @Test func aLaterLapReadsNoInitialWeights() throws {
    let plan = plan(Self.encoders[0])
    let file = try EncoderCheckpoint(end(of: 3, plan, seed: 1), plan.augmentation).encoded()
    let initial = try InitialWeights(parsing: file, for: plan.encoder)
    var other = plan
    other.seed = 99
    let model = end(of: 4, plan, seed: 2)
    #expect(plan.grow(model, from: initial).versions == plan.grow(model).versions)
    #expect(other.grow(model).versions == plan.grow(model).versions)
    let first = end(of: 1, plan, seed: 2)
    #expect(plan.grow(first, from: initial).versions != plan.grow(first).versions)
  }

  /// The commitment head is a part of its own in a stage, and part of its exit afterwards.
  @Test(arguments: encoders) func aCommitmentHeadGoesOn(encoder: EncoderConfiguration) {
    func stage(_ depth: Int) -> Stage {
      Stage(
        index: depth,
        Stage.Content(
          blocks: Array(0..<depth), training: [depth - 1], stem: depth == 1, lap: 2,
          exits: Array(1..<depth)),
        encoder.pooled(grid: 2),
        objective: .classification(ClassifierConfiguration(classes: 3, commitment: true)))
    }
    let last = stage(3)
    let parameters = Storage(last.model.layout)
    Initialisation.random(last.model, into: parameters, seed: 3)
    let end = Snapshot(last, parameters)
    let first = end.arranged(as: stage(1), waiting: ["blocks.1", "blocks.2", "exits.2", "exits.3"])
    #expect(first.manifest.last?.name == "commitment" && layers(first) == layers(end))
    let values = first.floats(first.manifest[first.manifest.count - 1].digest)
    let entries = last.model.layout.entries.filter { $0.name.hasPrefix("exits.1.commitment") }
    #expect(values == entries.flatMap { parameters[$0.slot].array() })
    #expect(first.arranged(as: last, waiting: []).versions == end.versions)
  }

  /// In the middle of a lap the complete model answers at every exit as the stage that left it does, and has the
  /// readout of the last block.
  @Test(arguments: encoders) func everyExitAnswersInALap(encoder: EncoderConfiguration) throws {
    let seed = UInt64.random(in: 0...1_000_000)
    let plan = plan(encoder)
    let snapshot = end(of: 5, plan, seed: seed)
    let whole = snapshot.complete
    #expect(whole.waiting.isEmpty && EarlyExits.depths(of: whole.stage.model) == [1, 2, 3])
    let images = { (index: Int, place: UnsafeMutablePointer<Float>) in
      var random = RandomNumbers(seed, "image \(index)")
      for pixel in 0..<encoder.input.count { place[pixel] = random.normal() }
    }
    func answers(_ snapshot: Snapshot) -> [[EarlyExits.Prediction]] {
      let parameters = Storage(snapshot.stage.model.layout)
      snapshot.write(into: parameters)
      return EarlyExits.answers(
        snapshot.stage.model, parameters, images: 6, workers: Workers(2), images)
    }
    let all = answers(whole)
    for depth in 1...3 {
      let own = snapshot.arranged(as: plan.stage(depth), waiting: [])
      for (one, other) in zip(all[depth - 1], answers(own)[depth - 1]) {
        #expect(
          one.label == other.label && abs(one.confidence - other.confidence) < 1e-5,
          "exit \(depth), seed \(seed)")
      }
    }
    let checkpoint = EncoderCheckpoint(snapshot, plan.augmentation)
    let read = try EncoderCheckpoint(parsing: checkpoint.encoded())
    #expect(read.configuration.depth == 3 && read.tensors == checkpoint.tensors)
    #expect(snapshot.encoderDigest == whole.encoderDigest)
    if let norm = read.tensors["norm.weight"] {
      let exit = try #require(snapshot.waiting.last)
      #expect(exit.name == "exits.3" && norm.values[...] == snapshot.floats(exit.digest).prefix(8))
    }
  }

  @Test(arguments: [Strategy.progressive, .endToEnd, .headOnly])
  func otherStrategiesHaveOneLap(strategy: Strategy) {
    var plan = plan(Self.encoders[0])
    plan.method.strategy = strategy
    #expect(plan.problems.map(\.field) == ["method.laps"])
    #expect(plan.problems.first?.reason.hasSuffix("and has one lap") == true)
  }
}
