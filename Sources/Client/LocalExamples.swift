import Datasets
import Engine
import Federation
import Foundation
import Synchronization
import Wire

/// A client's examples of one kind, as the trainings of a job use them.
protocol LocalExamples: Sendable {
  /// The number of examples.
  var count: Int { get }
  /// The number of nodes of the graph; nil for other examples.
  var graphNodes: Int? { get }
  /// The number of bytes by which the memory of the examples may still grow.
  var spareBytes: Int { get }

  /// Returns the examples of an assignment's stage; nil if `progress` was stopped. The caller provides the thread.
  func select(
    _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ progress: LocalWork.Progress,
    note: (ClientEvent) -> Void
  ) throws -> (any SelectedExamples)?
}

extension LocalExamples {
  var graphNodes: Int? { nil }
}

/// The examples of a round.
protocol SelectedExamples {
  /// The number of examples, at most one batch if the client's is smaller.
  var count: Int { get }
  /// Whether they are too few for the stage, in which the client then takes no part.
  var isExhausted: Bool { get }

  /// Returns the rows to train on. If a prefix is frozen, they may be its outputs.
  func rows(
    _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ options: TrainingOptions
  ) throws -> any RowSource
  /// Checks after a training that every row was read, and returns the number of examples, which is the weight of the
  /// update. Throws ``ClientError``.
  func check(_ rows: any RowSource) throws(ClientError) -> Int
}

/// A client's images.
struct LocalImages: LocalExamples {
  private let images: ImageSet
  private let selection = Selection()

  init(_ images: ImageSet) { self.images = images }

  var count: Int { images.count }
  var spareBytes: Int { images.spareBytes }

  /// The images that a cascade has left for a stage, with the frozen layers and exits that left them.
  private final class Selection: Sendable {
    private let last = Mutex<(layers: [Digest], rows: [Int])?>(nil)

    /// Returns the images that these layers left.
    func rows(for layers: [Digest]) -> [Int]? {
      last.withLock { $0.flatMap { $0.layers == layers ? $0.rows : nil } }
    }

    /// Returns the images that the layers of an earlier stage left, of which these leave some; nil if there are none.
    func candidates(for layers: [Digest]) -> [Int]? {
      last.withLock { $0.flatMap { Set($0.layers).isSubset(of: layers) ? $0.rows : nil } }
    }

    func keep(_ rows: [Int], for layers: [Digest]) { last.withLock { $0 = (layers, rows) } }
  }

  /// Returns all images or, with a cascade, those that the exits of the stages before have not learned.
  func select(
    _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ progress: LocalWork.Progress,
    note: (ClientEvent) -> Void
  ) throws -> (any SelectedExamples)? {
    guard let cascade = work.plan.method.cascade, work.plan.isSelecting(stage: stage.index)
    else { return Selected(images, mayBeExhausted: false) }
    // The layers below do not change during a stage, so one selection serves all its rounds.
    let trained = Set(assignment.trained)
    let layers = assignment.parts.filter { !trained.contains($0.name) }.map(\.digest)
    if let rows = selection.rows(for: layers) { return Selected(images.subset(rows)) }
    let known = selection.candidates(for: layers)
    let candidates = known.map { images.subset($0) } ?? images
    let chunk = try work.options(stage, assignment, examples: images.count).chunk
    let parameters = Storage(stage.model.layout)
    try work.read(stage.model.parts, of: assignment, into: parameters)
    let augmentation = work.plan.augmentation
    let augmenter = Augmenter(
      .withLabels(mean: augmentation.mean, deviation: augmentation.deviation), for: work.plan.encoder)
    let remaining = EarlyExits.remaining(
      stage.model, parameters, labels: candidates.labels ?? [], leaving: cascade.rule,
      workers: Workers(work.threads), chunk: chunk,
      while: {
        progress.gate.wait()
        return !progress.isStopped
      }
    ) { augmenter.plain(candidates, index: $0, into: $1) }
    guard let remaining else { return nil }
    let rows = known.map { known in remaining.map { known[$0] } } ?? remaining
    selection.keep(rows, for: layers)
    note(.selected(assignment.key, images: rows.count, of: images.count))
    return Selected(images.subset(rows))
  }

  /// The images of a round.
  private struct Selected: SelectedExamples {
    let images: ImageSet
    /// Whether a cascade has selected them.
    let mayBeExhausted: Bool

    init(_ images: ImageSet, mayBeExhausted: Bool = true) {
      (self.images, self.mayBeExhausted) = (images, mayBeExhausted)
    }

    var count: Int { images.count }
    var isExhausted: Bool { mayBeExhausted && images.count - images.unreadable < 2 }

    /// Returns the round's views: new ones in each epoch, or some of a fixed number. If a prefix is frozen, the latter are
    /// its outputs.
    func rows(
      _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ options: TrainingOptions
    ) throws -> any RowSource {
      let (plan, threads) = (work.plan, work.threads)
      let augmenter = Augmenter(plan.augmentation, for: plan.encoder)
      guard plan.local.views > 0 else {
        return AugmentedViews(images, augmenter, seed: assignment.seed, workers: threads)
      }
      let seed = RandomNumbers.derive(plan.seed, "fixed views \(work.configuration.name)")
      func views(_ cache: ViewCache?) -> FixedViews {
        FixedViews(
          images, augmenter, views: plan.local.views, kinds: stage.model.objective.views, seed: seed,
          roundSeed: assignment.seed, workers: threads, cache: cache)
      }
      guard !stage.trainsStem else { return views(nil) }
      let frozen = stage.prefixParts
      let cache = try ViewCache(
        work.configuration.state.appendingPathComponent("views"),
        ViewCache.Contents(
          images: images.count, views: plan.local.views,
          size: stage.model.encoder.featureSize(behind: stage.prefixDepth),
          seed: seed, layers: assignment.parts.prefix(frozen.count).map(\.digest)))
      let runner = PrefixRunner(stage.model, chunk: options.chunk, workers: Workers(threads))
      try work.read(frozen, of: assignment, into: runner.parameters)
      try cache.update(runner, draw: views(nil).draw)
      return views(cache)
    }

    /// Returns the number of images that could be read. Throws ``ClientError/data(_:)`` if they are too few to train on;
    /// broken files are found only when they are read.
    func check(_ rows: any RowSource) throws(ClientError) -> Int {
      try (rows as? FixedViews)?.check()
      let readable = images.count - images.unreadable
      guard readable >= 2 else {
        let reason = BrokenFile.summary(images.broken) ?? "the others are broken"
        throw .data("\(readable) of \(images.count) images can be read, and two are needed: \(reason)")
      }
      return readable
    }
  }
}
