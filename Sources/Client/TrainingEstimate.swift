import Datasets
import Engine
import Federation
import Support

/// The memory and time of a plan's stages on this machine, measured over a few steps of each on the given examples.
package struct TrainingEstimate: Sendable {
  /// The figures of a stage. The names are those of `fedclient check --json`.
  package struct Stage: Sendable, Codable {
    /// The stage, counted from 1, and the number of its rounds.
    package let stage, rounds: Int
    /// The number of images per step.
    package let batch: Int
    /// The number of optimiser steps per round.
    package let steps: Int
    /// The maximum resident memory of the process: its current memory, the decoded images and the trainer.
    package let memoryBytes: Int
    /// The seconds of one round's training; nil if the stage does not fit into the memory limit.
    package let secondsPerRound: Double?
    /// The reason why the stage cannot be trained.
    package let problem: String?
  }

  private let plan: Plan
  private let data: Dataset
  /// The nodes to train on, if the data are a graph.
  private let nodes: TrainingNodes?
  private let threads: Int
  private let limit: ByteCount?
  /// The resident memory without the trainer.
  private let resident: Int

  /// The number of timed steps. The first step is not timed, because it touches the memory for the first time.
  private static let timedSteps = 2

  /// Requires at least two examples that fit the plan's encoder, and nodes to train on. `limit` is the limit on resident
  /// memory; if it is nil, the plan's applies.
  package init(_ plan: Plan, _ data: Dataset, threads: Int, limit: ByteCount?) {
    precondition(data.count >= data.least, "\(data.count) examples")
    (self.plan, self.data, self.threads, self.limit) = (plan, data, threads, limit)
    nodes = if case .nodes(let set) = data { TrainingNodes(set, plan) } else { nil }
    precondition(!(nodes?.isExhausted ?? false), "no nodes to train on")
    resident = ProcessMemory.resident + data.spareBytes
  }

  /// The number of examples of an epoch.
  private var count: Int { nodes?.nodes.count ?? data.count }

  /// Runs three steps on the calling thread.
  package func measure(stage index: Int) -> Stage {
    let key = RoundKey(stage: index, round: 1)
    let stage = plan.stage(index, keeping: plan.keptBlocks(key, client: "check"))
    let resident = resident + (nodes?.bytes(stage) ?? 0)
    if case .rows(let rows) = data, case .sums(let sums) = stage.updateContent(round: 1) {
      return measure(sums, stage, RowStatistics(rows, workers: Workers(threads)), key)
    }
    let options: TrainingOptions
    do {
      options = try plan.trainingOptions(
        .whole, images: count, nodes: nodes?.set.count, of: stage, workers: threads, limit: limit,
        resident: resident)
    } catch {
      let wanted = plan.trainingOptions(.whole, stage: index, images: count, nodes: nodes?.set.count)
      return figures(key, wanted, memory: error.needed, seconds: nil, problem: "\(error)")
    }
    return figures(
      key, options, memory: (nodes?.bytes(stage) ?? 0) + MemoryPlan(stage, options, workers: threads).bytes,
      seconds: time(stage, options), problem: nil)
  }

  /// Computes the sums of the stage's first round twice. The first time computes the second moments as well, which later
  /// rounds know.
  private func measure(
    _ sums: BlockSums, _ stage: Engine.Stage, _ rows: RowStatistics, _ key: RoundKey
  ) -> Stage {
    let memory = sums.memory(threads: threads)
    func figures(_ seconds: Double?, _ problem: String?) -> Stage {
      Stage(
        stage: key.stage, rounds: plan.mostRounds(stage: key.stage), batch: data.count, steps: 1,
        memoryBytes: resident + memory, secondsPerRound: seconds, problem: problem)
    }
    if let limit = limit ?? plan.local.memory, resident + memory > limit.bytes {
      return figures(
        nil,
        "this stage needs \((memory + 999_999) / 1_000_000) MB of memory, and \(max(limit.bytes - resident, 0) / 1_000_000) MB are available"
      )
    }
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: plan.seed)
    _ = sums.update(rows, parameters)
    return figures(ContinuousClock().measure { _ = sums.update(rows, parameters) }.seconds, nil)
  }

  private func figures(
    _ key: RoundKey, _ options: TrainingOptions, memory: Int, seconds: Double?, problem: String?
  ) -> Stage {
    let steps = options.epochs * (count / options.batch)
    return Stage(
      stage: key.stage, rounds: plan.mostRounds(stage: key.stage), batch: options.batch, steps: steps,
      memoryBytes: resident + memory, secondsPerRound: seconds.map { $0 * Double(steps) }, problem: problem)
  }

  /// Returns rows as a training has them: views of images or, if the plan fixes the views, outputs of the frozen layers.
  private func rows(_ stage: Engine.Stage, _ parameters: borrowing Storage) -> any RowSource {
    switch data {
    case .nodes:
      return rows(of: nodes, stage, parameters)
    case .images where plan.local.views > 0 && !stage.trainsStem:
      return NoiseImages(
        size: stage.model.encoder.featureSize(behind: stage.prefixDepth), count: data.count,
        givesFeatures: true)
    case .images(let images):
      return AugmentedViews(
        images, Augmenter(plan.augmentation, for: plan.encoder), seed: plan.seed, workers: threads)
    case .rows: preconditionFailure("steps on \(data.noun)s")
    }
  }

  private func rows(
    of nodes: TrainingNodes?, _ stage: Engine.Stage, _ parameters: borrowing Storage
  ) -> any RowSource {
    guard let nodes else { preconditionFailure("a graph without nodes") }
    let workers = Workers(threads)
    var prefix = nodes.prefix()
    prefix.freeze(to: stage.prefixDepth, of: TrainingNodes.encoder(of: stage), parameters, workers)
    return nodes.rows(stage, of: prefix, seed: plan.seed, workers)
  }

  /// Returns the seconds of a step.
  private func time(_ stage: Engine.Stage, _ options: TrainingOptions) -> Double {
    let trainer = Trainer(stage, options, workers: Workers(threads))
    Initialisation.random(stage.model, into: trainer.parameters, seed: plan.seed)
    trainer.begin()
    let (rows, count) = (rows(stage, trainer.parameters), count)
    func step(_ number: Int) {
      let taken = (0..<options.batch).map { (number * options.batch + $0) % count }
      _ = trainer.step(learningRate: 1e-6, Minibatch(rows, images: taken[...], epoch: number))
    }
    step(0)
    let elapsed = ContinuousClock().measure { for number in 1...Self.timedSteps { step(number) } }
    return elapsed.seconds / Double(Self.timedSteps)
  }
}

/// A few images of normal noise, which stand for any image.
package struct NoiseImages: RowSource, Sendable {
  package let count: Int
  package let givesFeatures: Bool
  /// All images have the first class.
  package let labels: [Int]?
  /// The number of different images.
  private static let different = 8
  /// The number of floats in an image.
  private let size: Int
  /// The number of floats in a local view.
  private let localSize: Int
  private let values: [Float]

  /// Generates images of `size` floats, or the same number of features of a frozen prefix, and local views of `localSize`
  /// floats as views 2 and further.
  package init(size: Int, count: Int, givesFeatures: Bool = false, localSize: Int = 0) {
    self.localSize = localSize
    (self.size, self.count, self.givesFeatures) = (size, count, givesFeatures)
    labels = [Int](repeating: 0, count: count)
    var random = RandomNumbers(3)
    values = (0..<Self.different * size).map { _ in random.normal() }
  }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    write(view + 2 * image, view > 1 ? localSize : size, into: place)
  }

  /// Writes the noise for image `index`.
  package func write(_ index: Int, into place: UnsafeMutablePointer<Float>) {
    write(index, size, into: place)
  }

  private func write(_ index: Int, _ count: Int, into place: UnsafeMutablePointer<Float>) {
    values.withUnsafeBufferPointer {
      if let start = $0.baseAddress {
        place.update(from: start + index % Self.different * size, count: count)
      }
    }
  }
}
