import Engine
import Foundation
import Testing

/// SGD with momentum, and LARS.
@Suite struct MomentumSGDTests {
  private static func draw(_ storage: borrowing Storage, _ seed: UInt64, _ purpose: String, _ step: Int = 0) {
    var random = RandomNumbers(seed, purpose, step)
    storage.all.draw(&random)
  }

  /// Two matrices, one of more than one part, with a vector between them.
  private static let tensors = [
    OptimisedTensor(range: 0..<35, isVector: false), OptimisedTensor(range: 35..<48, isVector: true),
    OptimisedTensor(range: 48..<48 + 65536 + 21, isVector: false),
  ]
  private static let count = 48 + 65536 + 21

  /// Compares steps with the formula in Double.
  @Test(arguments: [nil, 0.05] as [Float?]) func matchesTheFormula(trust: Float?) {
    let parameters = Storage(0..<Self.count)
    let gradients = Storage(0..<Self.count)
    Self.draw(parameters, 121, "parameters")
    var w = parameters.all.doubles
    var m = Array(repeating: 0.0, count: Self.count)
    let optimiser = MomentumSGD(
      [0..<Self.count], moving: Self.tensors, weightDecay: 0.1, momentum: 0.8, trustCoefficient: trust)
    let workers = Workers(2)
    for t in 1...5 {
      Self.draw(gradients, 121, "gradients", t)
      let rate = 0.02 * Double(t)
      optimiser.step(parameters, gradients, learningRate: Float(rate), workers)
      let g = gradients.all.doubles
      for tensor in Self.tensors {
        let isPlain = trust != nil && tensor.isVector
        let gradient = tensor.range.map { g[$0] + (isPlain ? 0 : 0.1 * w[$0]) }
        func length(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let q =
          isPlain ? 1 : trust.map { Double($0) * length(Array(w[tensor.range])) / length(gradient) } ?? 1
        for (index, value) in zip(tensor.range, gradient) {
          m[index] = 0.8 * m[index] + q * value
          w[index] -= rate * m[index]
        }
      }
    }
    let error = zip(parameters.all.doubles, w).map { abs($0 - $1) }.max() ?? 0
    #expect(error < 1e-5, "seed 121")
  }

  /// A tensor of zeros has no length to scale a step by.
  @Test func aTensorOfZerosMoves() {
    let parameters = Storage(0..<6)
    let gradients = Storage(0..<6)
    Elementwise.fill(gradients.all, 2)
    let optimiser = MomentumSGD(
      [0..<6], moving: [OptimisedTensor(range: 0..<6, isVector: false)], weightDecay: 0.1, momentum: 0.9,
      trustCoefficient: 0.001)
    optimiser.step(parameters, gradients, learningRate: 0.5, Workers(1))
    #expect(parameters.all.array() == Array(repeating: -1, count: 6))
    gradients.clear()
    optimiser.step(parameters, gradients, learningRate: 0.5, Workers(1))
    #expect(parameters.all.array().allSatisfy { $0.isFinite && $0 < -1 })
  }

  @Test func leavesOtherParametersAlone() {
    let parameters = Storage(0..<60)
    let gradients = Storage(10..<50)
    Self.draw(parameters, 122, "parameters")
    Self.draw(gradients, 122, "gradients")
    let before = parameters.all.bits
    let optimiser = MomentumSGD(
      [10..<50], moving: [OptimisedTensor(range: 12..<31, isVector: false)], weightDecay: 0, momentum: 0.9)
    optimiser.step(parameters, gradients, learningRate: 0.01, Workers(1))
    for (index, (a, b)) in zip(before, parameters.all.bits).enumerated() {
      #expect((a != b) == (12..<31).contains(index), "element \(index), seed 122")
    }
  }

  @Test func hasTheSameBitsForAnyNumberOfWorkers() {
    let results = (1...4).map { workers in
      let parameters = Storage(0..<Self.count)
      let gradients = Storage(0..<Self.count)
      Self.draw(parameters, 123, "parameters")
      Self.draw(gradients, 123, "gradients")
      let optimiser = MomentumSGD(
        [0..<Self.count], moving: Self.tensors, weightDecay: 0.1, momentum: 0.9, trustCoefficient: 0.01)
      for _ in 0..<2 { optimiser.step(parameters, gradients, learningRate: 0.1, Workers(workers)) }
      return parameters.all.bits
    }
    for (index, result) in results.enumerated() {
      #expect(result == results[0], "\(index + 1) workers, seed 123")
    }
  }

  /// The vectors of a transformer are its biases and normalisations; positions and class token are tensors.
  @Test func aStageKnowsItsVectors() {
    let stage = TinyViT.stage(.endToEnd)
    let names = stage.entries.filter { !$0.isBuffer }.map(\.name)
    #expect(names.count == stage.optimisedTensors.count)
    for (name, tensor) in zip(names, stage.optimisedTensors) {
      let isVector =
        name.contains("norm") || name.hasSuffix("bias")
        || ["projector.1.weight", "projector.4.weight"].contains(name)
      #expect(tensor.isVector == isVector, "\(name)")
    }
    #expect(stage.optimisedTensors.reduce(0) { $0 + $1.range.count } == stage.count)
  }

  /// Each rule trains a whole stage, and each does something else.
  @Test func eachTrainsAStage() {
    var results: Set<[UInt32]> = []
    for kind in OptimiserKind.allCases {
      var options = TinyViT.options(batch: 8, epochs: 12)
      options.optimiser = kind
      options.trustCoefficient = 0.01
      options.schedule = LearningRateSchedule(rate: kind == .lars ? 0.1 : 0.01)
      let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), options, workers: 2, seed: 124)
      var losses: [Float] = []
      _ = trainer.train(RandomViews(seed: 125, count: 24), seed: 126) { _, _, loss in
        losses.append(loss)
        return true
      }
      let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
      #expect(last < first, "\(kind): \(first) to \(last), seeds 124 to 126")
      results.insert(trainer.parameters.all.bits)
    }
    #expect(results.count == OptimiserKind.allCases.count)
  }
}
