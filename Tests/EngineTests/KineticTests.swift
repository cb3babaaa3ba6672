import Engine
import Testing

/// The kinetic term on residual branches, in a whole training step.
@Suite struct KineticTests {
  private func options(tau: Float, slice: Int? = nil) -> TrainingOptions {
    var options = TinyViT.options(batch: 6)
    options.regularisers = tau == 0 ? [] : [.residualBranches(Kinetic(tau: tau))]
    (options.slice, options.chunk) = (slice, 2)
    return options
  }

  private func stage(_ encoder: EncoderConfiguration, _ trained: [Int]) -> Stage {
    Stage(
      index: 1, Stage.Content(blocks: Array(0..<encoder.depth), training: trained, stem: false, lap: 1),
      encoder, objective: .contrastive(TinyViT.heads))
  }

  /// Neither threads nor slices change a bit, whatever trains.
  @Test(arguments: [[0], [1], [0, 2], [2]], [TinyViT.encoder, TinyResNet.encoder])
  func threadsAndSlicesDoNotChangeABit(trained: [Int], encoder: EncoderConfiguration) {
    let isViT = encoder == TinyViT.encoder
    let settings: [(Int, Int?)] = [(1, nil), (2, nil), (3, isViT ? 2 : nil), (2, isViT ? 4 : nil)]
    let results = settings.map { workers, slice in
      let (stage, options) = (stage(encoder, trained), options(tau: 0.02, slice: slice))
      let trainer =
        isViT
        ? TinyViT.trainer(stage, options, workers: workers, seed: 61)
        : TinyResNet.trainer(stage, options, workers: workers, seed: 61)
      let terms = (0..<3).map { _ in
        isViT
          ? trainer.terms(on: RandomViews(seed: 62, count: 6), learningRate: 1e-2)
          : trainer.terms(on: TinyResNet.views(62), learningRate: 1e-2)
      }
      return (terms, trainer.parameters.all.bits)
    }
    for result in results.dropFirst() {
      #expect(result.0 == results[0].0 && result.1 == results[0].1, "blocks \(trained), seeds 61 and 62")
    }
    #expect(results[0].0.allSatisfy { $0.terms.count == 2 && $0.terms.last?.name == "kinetic" })
  }

  /// A weight of 1 / τ: half of τ doubles the term and its part of every gradient.
  @Test func theTermGrowsAsTauShrinks() {
    let stage = stage(TinyViT.encoder, [1, 2])
    let steps = [0, 0.1, 0.05 as Float].map { (tau: Float) -> (LossTerms, Trainer) in
      let trainer = TinyViT.trainer(stage, options(tau: tau), seed: 63)
      return (trainer.terms(on: RandomViews(seed: 64, count: 6)), trainer)
    }
    let kinetic = steps.map { $0.0.terms.last?.value ?? 0 }
    #expect(abs(kinetic[2] / kinetic[1] - 2) < 1e-5, "\(kinetic)")
    for entry in stage.entries where entry.name.hasPrefix("blocks.") {
      let gradients = steps.map { $0.1.gradient(entry.slot).array() }
      let scale = gradients[2].reduce(1e-3) { max($0, abs($1)) }
      for index in gradients[0].indices {
        let (none, some, twice) = (gradients[0][index], gradients[1][index], gradients[2][index])
        let difference: Float = abs((twice - none) - 2 * (some - none))
        #expect(difference < 1e-4 * scale, "\(entry.name), seeds 63 and 64")
      }
    }
  }

  /// Branch outputs take memory only where the term asks for them, and the plan knows how much.
  @Test(arguments: [TinyViT.encoder, TinyResNet.encoder])
  func memoryIsTakenOnlyWhereItIsAskedFor(encoder: EncoderConfiguration) {
    let stage = stage(encoder, [1])
    let (without, with) = (
      MemoryPlan(stage, options(tau: 0), workers: 2).bytes,
      MemoryPlan(stage, options(tau: 1), workers: 2).bytes
    )
    #expect(without < with)
  }
}
