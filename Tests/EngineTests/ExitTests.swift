import Engine
import Testing

/// Exits as parts of a model: they are left behind by a stage, stay frozen, and inference stops at them.
@Suite struct ExitTests {
  private static let classes = 5
  private static let encoders = [TinyViT.encoder, TinyResNet.encoder]

  /// Stage `depth` of a classification that has left an exit after each stage before.
  private func stage(_ encoder: EncoderConfiguration, _ depth: Int, exits: [Int]? = nil) -> Stage {
    Stage(
      index: depth,
      Stage.Content(
        blocks: Array(0..<depth), training: [depth - 1], stem: depth == 1,
        exits: exits ?? Array(1..<depth)),
      encoder, objective: .classification(classes: Self.classes))
  }

  private func random(_ model: Model, seed: UInt64) -> Storage {
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: seed)
    return parameters
  }

  private func images(_ encoder: EncoderConfiguration, seed: UInt64)
    -> (Int, UnsafeMutablePointer<Float>) -> Void
  {
    { index, place in
      var random = RandomNumbers(seed, "image \(index)")
      for pixel in 0..<encoder.input.count { place[pixel] = random.normal() }
    }
  }

  @Test(arguments: encoders) func exitsAreFrozenParts(encoder: EncoderConfiguration) {
    let stage = stage(encoder, 3)
    #expect(stage.model.parts.map(\.name).suffix(2) == ["exits.1", "exits.2"])
    #expect(!stage.parts.contains { $0.name.hasPrefix("exits.") } && stage.parts.last?.name == "classifier")
    #expect(stage.model.headRange.upperBound < stage.model.layout.count)
    let without = self.stage(encoder, 3, exits: [])
    #expect(stage.count == without.count && stage.model.encoderRange == without.model.encoderRange)
  }

  /// The next stage's exit is the previous stage's readout and classifier, and earlier exits stay.
  @Test(arguments: encoders) func aStageLeavesItsClassifierBehind(encoder: EncoderConfiguration) {
    let (first, second, third) = (stage(encoder, 1).model, stage(encoder, 2).model, stage(encoder, 3).model)
    let one = random(first, seed: 41)
    let (two, three) = (StorageBox(second.layout.range), StorageBox(third.layout.range))
    Initialisation.grow(second, into: two.storage, from: first, one, .random, layersPerStage: 1, seed: 42)
    Initialisation.grow(
      third, into: three.storage, from: second, two.storage, .random, layersPerStage: 1, seed: 42)
    let before = EarlyExits(first, chunk: 4).classify(
      4, leaving: ExitRule(confidence: 0), one, images(encoder, seed: 43))
    for (model, parameters) in [(second, two), (third, three)] {
      let after = EarlyExits(model, chunk: 4)
        .classify(4, leaving: ExitRule(confidence: 0), parameters.storage, images(encoder, seed: 43))
      for (old, new) in zip(before, after) {
        #expect(old.label == new.label && abs(old.confidence - new.confidence) < 1e-5 && new.depth == 1)
      }
    }
  }

  /// Each image's prediction is that of the first exit which is confident, whichever other images there are.
  @Test(arguments: encoders) func imagesLeaveAtTheFirstConfidentExit(encoder: EncoderConfiguration) {
    let seed: UInt64 = 44
    let model = stage(encoder, 3).model
    let parameters = random(model, seed: seed)
    for entry in model.layout.entries where entry.name.hasSuffix("classifier.0.weight") {
      var random = RandomNumbers(seed, entry.name)
      let values = parameters[entry.slot].flat
      // The second exit is more confident than the first.
      let scale: Float = entry.name.hasPrefix("exits.1.") ? 0.3 : 0.9
      for index in 0..<values.count { values[0, index] = random.normal() * scale }
    }
    let count = 12
    let images = images(encoder, seed: seed)
    /// The predictions of all images at one exit: earlier ones are never confident enough.
    func all(_ depth: Int) -> [EarlyExits.Prediction] {
      let truncated = stage(encoder, depth, exits: []).model
      let own = Storage(truncated.layout)
      for entry in truncated.layout.entries {
        let name: String
        if depth < 3, entry.slot.offset >= truncated.headStart {
          name = "exits.\(depth).\(entry.name)"
        } else {
          name = entry.name
        }
        guard let source = model.layout.entries.first(where: { $0.name == name }) else {
          Issue.record("no \(name)")
          continue
        }
        Elementwise.copy(parameters[source.slot], to: own[entry.slot])
      }
      return EarlyExits(truncated, chunk: count).classify(
        count, leaving: ExitRule(confidence: 2), own, images)
    }
    let byExit = (1...3).map(all)
    let exits = EarlyExits(model, chunk: count)
    var depths: Set<Int> = []
    for threshold in stride(from: 0.21 as Float, to: 1, by: 0.01) {
      let got = exits.classify(count, leaving: ExitRule(confidence: threshold), parameters, images)
      for index in 0..<count {
        let expected = byExit.first { $0[index].confidence >= threshold } ?? byExit[2]
        let close = byExit.contains { abs($0[index].confidence - threshold) < 1e-4 }
        #expect(
          close
            || got[index].label == expected[index].label && got[index].depth == expected[index].depth
              && abs(got[index].confidence - expected[index].confidence) < 1e-4,
          "image \(index) at \(threshold), seed \(seed)")
        depths.insert(got[index].depth)
      }
    }
    #expect(depths == [1, 2, 3], "seed \(seed) shows nothing")
  }

  /// The formulas of the method for a transformer: T (4 + 2r) D² + 2 T² D a block, patches x values x D for the stem,
  /// and D x C for an exit.
  @Test func costsOfATransformerFollowTheFormula() {
    let c = TinyViT.encoder.vit
    let (tokens, width) = (c.tokens, c.width)
    let block = Double(tokens * (4 + 2 * c.mlpRatio) * width * width + 2 * tokens * tokens * width)
    let stem = Double(c.patches * c.patchSize * width)
    let exit = Double(width * Self.classes)
    let costs = ExitCosts(stage(TinyViT.encoder, 3).model)
    #expect(costs.blocks == [stem + block, block, block] && costs.exits == [exit, exit, exit])
    #expect(costs.cost(stoppingAt: 1) == stem + 2 * block + 2 * exit)
    #expect(costs.full == stem + 3 * block + exit)
    #expect(ExitCosts(stage(TinyViT.encoder, 3, exits: [2]).model).blocks == [stem + 2 * block, block])
  }

  /// What inference computes: of the block below an exit the class token's part, and all of it where an image goes on.
  @Test func inferenceCostsLessThanWholeBlocks() throws {
    let model = stage(TinyViT.encoder, 3).model
    let (part, operations) = (try #require(model.encoder.partialBlock), model.encoder.operations)
    let (block, stem) = (Double(operations.blocks[0]) / 2, Double(operations.stem) / 2)
    let costs = ExitCosts(model, lastBlock: .readout)
    #expect(costs.blocks == [stem + Double(part) / 2, block + Double(part) / 2, block + Double(part) / 2])
    #expect(costs.full == stem + 2 * block + Double(part) / 2 + costs.exits[2])
    // A resnet pools all pixels of its map.
    let resnet = stage(TinyResNet.encoder, 3).model
    let whole = ExitCosts(resnet)
    #expect(ExitCosts(resnet, lastBlock: .readout) == whole)
    #expect(whole.full == whole.cost(stoppingAt: 2) - whole.exits[0] - whole.exits[1])
    #expect(whole.blocks[2] == Double(resnet.encoder.operations.blocks[2]) / 2)
  }

  /// Without a threshold no exit but the last answers.
  @Test(arguments: encoders) func withoutAThresholdAllImagesRunToTheEnd(encoder: EncoderConfiguration) {
    let model = stage(encoder, 3).model
    let parameters = random(model, seed: 45)
    let exits = EarlyExits(model, chunk: 6)
    let all = exits.classify(6, leaving: nil, parameters, images(encoder, seed: 45))
    let last = EarlyExits.answers(
      model, parameters, images: 6, workers: Workers(1), images(encoder, seed: 45))
    #expect(all.map(\.label) == last[2].map(\.label) && all.allSatisfy { $0.depth == 3 })
    for (one, other) in zip(all, last[2]) { #expect(abs(one.confidence - other.confidence) < 1e-5) }
  }
}
