import Foundation
import Synchronization

/// Decides whether an image leaves at an exit (QuickNets, arXiv 2212.12866).
package struct ExitRule: Sendable, Hashable {
  /// The least confidence of an answer, 0 … 1.
  package var confidence: Float
  /// The least commitment, 0 … 1, at exits with a commitment head.
  package var gate: Float

  package init(confidence: Float, gate: Float = 0.5) { (self.confidence, self.gate) = (confidence, gate) }

  /// Returns whether an image leaves with this confidence and commitment; nil without a commitment head.
  package func isMet(confidence: Float, commitment: Float?) -> Bool {
    confidence >= self.confidence && (commitment.map { $0 >= gate } ?? true)
  }

  /// Returns whether an image leaves with a prediction.
  package func isMet(by prediction: EarlyExits.Prediction) -> Bool {
    isMet(confidence: prediction.confidence, commitment: prediction.commitment)
  }

  /// Returns whether a training image stays for the next stage: unless it would leave here, and with its own class.
  package func keeps(_ prediction: EarlyExits.Prediction, label: Int) -> Bool {
    prediction.label != label || !isMet(by: prediction)
  }
}

/// Classifies images with early exits: an image leaves at the first exit whose rule it meets, and later blocks run only
/// for the images that remain (QuickNets, arXiv 2212.12866). It is used by one thread at a time.
///
/// C classes, F = pooled width, D = width of a representation.
package final class EarlyExits {
  /// The result for one image.
  package struct Prediction: Sendable, Hashable {
    package let label: Int
    /// The probability of the label, 1/C … 1.
    package let confidence: Float
    /// The probability that the label is right by the exit's commitment head, 0 … 1; nil without one.
    package let commitment: Float?
    /// The number of blocks that ran.
    package let depth: Int

    package init(label: Int, confidence: Float, commitment: Float?, depth: Int) {
      (self.label, self.confidence, self.commitment, self.depth) = (label, confidence, commitment, depth)
    }

    /// Returns the prediction from logits [C], which it replaces with probabilities, and from the output of the
    /// commitment head. Of equal logits the lower class counts.
    package init(
      logits: UnsafeMutablePointer<Float>, count: Int, commitment output: Float? = nil, depth: Int
    ) {
      _ = Softmax.row(logits, count: count)
      var best = 0
      for index in 1..<max(count, 1) where logits[index] > logits[best] { best = index }
      self.init(
        label: best, confidence: logits[best],
        commitment: output.map { 1 / (1 + Float(exp(-Double($0)))) }, depth: depth)
    }
  }

  private let model: Model
  private let exits: [Exit]
  private let chunk: Int
  private let runner: any EncoderRunner
  private let work: Storage
  private let plans: [Plan]

  /// The slots of an exit.
  private struct Plan {
    let pooled, representations: Slot
    let readout: Readout.TracePlan
    let classifier: Classifier.TracePlan
    /// The outputs of the commitment head [chunk, 1].
    let commitment: Slot?

    init(_ exit: Exit, _ encoder: any Encoder, chunk: Int, in layout: inout Layout) {
      let width = exit.classifier.width
      pooled = layout.add("pooled", chunk, encoder.pooledWidth(behind: exit.depth))
      representations = layout.add("representations", chunk, width)
      readout = exit.readout.tracePlan(rows: chunk, width: width, in: &layout)
      classifier = Classifier.TracePlan(exit.classifier, rows: chunk, in: &layout)
      commitment = exit.classifier.commitment.map { _ in layout.add("commitment", chunk, 1) }
    }
  }

  /// Creates a classifier for chunks of up to `chunk` images; the model's objective must classify.
  package init(_ model: Model, chunk: Int) {
    precondition(model.objective.classifier != nil, "a model that does not classify")
    (self.model, self.chunk, exits) = (model, chunk, model.allExits)
    runner = model.encoder.makeRunner(chunk: chunk)
    var layout = Layout(alignment: 16)
    var plans: [Plan] = []
    for exit in exits { plans.append(Plan(exit, model.encoder, chunk: chunk, in: &layout)) }
    self.plans = plans
    work = Storage(layout)
  }

  /// Classifies `count` images, each given by `image(index, pixels)` as [C, H, W]. Without a threshold, all images run to
  /// the last exit. Returns their predictions in order.
  package func classify(
    _ count: Int, leaving rule: ExitRule?, _ parameters: borrowing Storage,
    _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [Prediction] {
    var predictions = [Prediction?](repeating: nil, count: count)
    let last = exits.count - 1
    pass(count, through: rule == nil ? last...last : 0...last, parameters, image) { index, exit, prediction in
      guard exit == last || (rule?.isMet(by: prediction) ?? false) else { return false }
      predictions[index] = prediction
      return true
    }
    return predictions.compactMap(\.self)
  }

  /// Returns for each of `count` training images whether it stays for the stage of the model: whether no exit of the
  /// stages before classifies it right and lets it leave. `label(index)` is an image's class.
  func stays(
    _ count: Int, leaving rule: ExitRule, label: (Int) -> Int, _ parameters: borrowing Storage,
    _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [Bool] {
    var stays = [Bool](repeating: true, count: count)
    guard exits.count > 1 else { return stays }
    pass(count, through: 0...exits.count - 2, parameters, image) { index, _, prediction in
      stays[index] = rule.keeps(prediction, label: label(index))
      return !stays[index]
    }
    return stays
  }

  /// Passes images through the exits of a range of indices; an image leaves at the first exit at which `leaves(image,
  /// exit, prediction)` returns true.
  private func pass(
    _ count: Int, through range: ClosedRange<Int>, _ parameters: borrowing Storage,
    _ image: (Int, UnsafeMutablePointer<Float>) -> Void, leaves: (Int, Int, Prediction) -> Bool
  ) {
    precondition(count <= chunk, "\(count) images in chunks of \(chunk)")
    runner.begin(count, parameters, image)
    var (remaining, computed) = (Array(0..<count), 0)
    for index in range where !remaining.isEmpty {
      let answers: [Prediction]
      (answers, computed) = predictions(remaining.count, from: computed, at: index, parameters)
      let kept = remaining.indices.filter { !leaves(remaining[$0], index, answers[$0]) }
      if index < range.upperBound { keep(kept, of: remaining.count, behind: computed) }
      remaining = kept.map { remaining[$0] }
    }
  }

  /// Returns the numbers of blocks before the exits of a model, with the last one.
  package static func depths(of model: Model) -> [Int] { model.exits.map(\.depth) + [model.depth] }

  /// Classifies images at every exit of a model, of which `image(index, pixels)` writes one as [C, H, W] on any thread.
  /// Returns the predictions of each exit for the images in order.
  package static func answers(
    _ model: Model, _ parameters: borrowing Storage, images count: Int, workers: Workers, chunk: Int = 32,
    _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [[Prediction]] {
    let chunks = (count + chunk - 1) / chunk
    let exits = (0..<workers.count).map { _ in EarlyExits(model, chunk: chunk) }
    let results = Mutex<[Int: [[Prediction]]]>([:])
    workers.run(chunks) { index, worker in
      let first = index * chunk
      let answers = exits[worker].answers(min(chunk, count - first), parameters) { image(first + $0, $1) }
      results.withLock { $0[index] = answers }
    }
    let byChunk = results.withLock { $0 }
    return depths(of: model).indices.map { exit in (0..<chunks).flatMap { byChunk[$0]?[exit] ?? [] } }
  }

  /// Classifies nodes of a graph at every exit of a model of a ``NodeEncoder``, one block at a time for the whole graph.
  /// Returns the predictions of each exit for `nodes` in order.
  ///
  /// - Parameter features: the features of all nodes [N, F].
  package static func answers(
    _ model: Model, _ parameters: borrowing Storage, features: any NodeValues, on graph: Graph, nodes: [Int],
    workers: Workers, chunk: Int = 256
  ) -> [[Prediction]] {
    guard let encoder = model.encoder as? any NodeEncoder else {
      preconditionFailure("\(type(of: model.encoder)) on a graph")
    }
    let exits = (0..<workers.count).map { _ in EarlyExits(model, chunk: chunk) }
    let depths = depths(of: model)
    var results = [[Prediction]](repeating: [], count: depths.count)
    encoder.forEachDepth(features, on: graph, parameters, workers) { depth, y in
      guard let exit = depths.firstIndex(of: depth) else { return }
      let byChunk = Mutex<[Int: [Prediction]]>([:])
      let chunks = (nodes.count + chunk - 1) / chunk
      workers.run(chunks) { index, worker in
        let part = nodes.dropFirst(index * chunk).prefix(chunk)
        let answers = exits[worker].answers(y, of: part, at: exit, parameters)
        byChunk.withLock { $0[index] = answers }
      }
      results[exit] = byChunk.withLock { byChunk in (0..<chunks).flatMap { byChunk[$0] ?? [] } }
    }
    return results
  }

  /// Returns the predictions of the exit at an index for some rows of features.
  private func answers(
    _ y: Matrix, of rows: ArraySlice<Int>, at index: Int, _ parameters: borrowing Storage
  ) -> [Prediction] {
    let pooled = work[plans[index].pooled].rows(0..<rows.count)
    for (place, row) in rows.enumerated() {
      pooled.row(place).update(from: y.row(row), count: pooled.columns)
    }
    return predictions(pooled, at: index, parameters)
  }

  /// Returns the indices of the training images that stay for the stage of a model, ascending: those that no exit of
  /// the stages before classifies right and lets leave. `image(index, pixels)` writes an image as [C, H, W] on any
  /// thread. Returns nil as soon as `goesOn` is false, which is asked before each chunk, also on any thread.
  package static func remaining(
    _ model: Model, _ parameters: borrowing Storage, labels: [Int], leaving rule: ExitRule, workers: Workers,
    chunk: Int = 32, while goesOn: () -> Bool = { true }, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [Int]? {
    let chunks = (labels.count + chunk - 1) / chunk
    let exits = (0..<workers.count).map { _ in EarlyExits(model, chunk: chunk) }
    let remaining = Mutex<[Int]?>([])
    workers.run(chunks) { index, worker in
      guard goesOn() else { return remaining.withLock { $0 = nil } }
      let first = index * chunk
      let stays = exits[worker].stays(
        min(chunk, labels.count - first), leaving: rule, label: { labels[first + $0] }, parameters
      ) { image(first + $0, $1) }
      remaining.withLock { list in list? += stays.indices.filter { stays[$0] }.map { first + $0 } }
    }
    return remaining.withLock { $0?.sorted() }
  }

  /// Returns the predictions of each exit for a chunk of images.
  private func answers(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [[Prediction]] {
    runner.begin(count, parameters, image)
    var (computed, all): (Int, [[Prediction]]) = (0, [])
    for index in exits.indices {
      let answers: [Prediction]
      (answers, computed) = predictions(count, from: computed, at: index, parameters)
      all.append(answers)
    }
    return all
  }

  /// Returns the predictions of the exit at an index for `count` images from the features after `start` blocks, and the
  /// number of blocks after which the chunk then has features.
  private func predictions(
    _ count: Int, from start: Int, at index: Int, _ parameters: borrowing Storage
  ) -> ([Prediction], computed: Int) {
    let pooled = work[plans[index].pooled].rows(0..<count)
    let computed = runner.pool(count, from: start, behind: exits[index].depth, into: pooled, parameters)
    return (predictions(pooled, at: index, parameters), computed)
  }

  /// Returns the predictions of the exit at an index from pooled features [n, F].
  private func predictions(
    _ pooled: Matrix, at index: Int, _ parameters: borrowing Storage
  ) -> [Prediction] {
    let (exit, plan, rows) = (exits[index], plans[index], 0..<pooled.rows)
    let representations = work[plan.representations].rows(rows)
    exit.readout.forward(pooled, into: representations, plan.readout, rows: rows, work, parameters)
    exit.classifier.forward(representations, plan.classifier, rows: rows, work, parameters)
    let logits = work[plan.classifier.logits].rows(rows)
    var commitments: Matrix?
    if let slot = plan.commitment, let head = exit.classifier.commitment {
      let outputs = work[slot].rows(rows)
      head.forward(representations, into: outputs, parameters)
      commitments = outputs
    }
    return rows.map {
      Prediction(
        logits: logits.row($0), count: logits.columns, commitment: commitments?[$0, 0], depth: exit.depth)
    }
  }

  /// Moves the features of the remaining images to the front.
  private func keep(_ rows: [Int], of count: Int, behind depth: Int) {
    let features = runner.features(count, behind: depth)
    for (to, from) in rows.enumerated() where to != from {
      Elementwise.copy(features.rows(from..<from + 1), to: features.rows(to..<to + 1))
    }
  }
}
