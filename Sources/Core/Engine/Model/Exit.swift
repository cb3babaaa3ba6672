import Synchronization

/// A readout with a classifier after `depth` blocks, at which inference can stop. A stage of a classification leaves its
/// readout and classifier behind as an exit, whose parameters are a part of the model.
package struct Exit: Sendable {
  /// The number of blocks before the exit.
  package let depth: Int
  package let readout: Readout
  package let classifier: Classifier
  /// The range of the readout's parameters in the model's layout.
  let readoutRange: Range<Int>

  /// Adds the parameters of an exit after `depth` blocks to a layout, as a part; readout first, then classifier.
  init(behind depth: Int, of encoder: any Encoder, _ objective: any Objective, in layout: inout Layout) {
    precondition(
      (1...encoder.blocks.count).contains(depth), "an exit after \(depth) of \(encoder.blocks.count) blocks")
    self.depth = depth
    layout.part = Self.part(depth)
    let start = layout.range.upperBound
    readout = encoder.makeReadout(Self.part(depth), behind: depth, in: &layout)
    readoutRange = start..<layout.range.upperBound
    let width = encoder.output(behind: depth)
    guard let classifier = objective.makeClassifier(Self.part(depth), width: width, in: &layout) else {
      preconditionFailure("an exit of an objective that does not classify")
    }
    self.classifier = classifier
  }

  /// The exit at the end of a model; nil if its objective does not classify.
  init?(last model: Model) {
    guard let classifier = model.objective.classifier else { return nil }
    (depth, readout, self.classifier) = (model.depth, model.encoder.readout, classifier)
    readoutRange = model.headStart..<model.encoderRange.upperBound
  }

  /// Returns the name of the part of an exit.
  package static func part(_ depth: Int) -> String { "exits.\(depth)" }
}

/// Classifies images with early exits: an image leaves at the first exit whose confidence is at least a threshold, and
/// later blocks run only for the images that remain (QuickNets, arXiv 2212.12866). It is used by one thread at a time.
///
/// C classes, F = pooled width, D = width of a representation.
package final class EarlyExits {
  /// The result for one image.
  package struct Prediction: Sendable, Hashable {
    package let label: Int
    /// The probability of the label, 1/C … 1.
    package let confidence: Float
    /// The number of blocks that ran.
    package let depth: Int
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

    init(_ exit: Exit, _ encoder: any Encoder, chunk: Int, in layout: inout Layout) {
      let width = exit.classifier.width
      pooled = layout.add("pooled", chunk, encoder.pooledWidth(behind: exit.depth))
      representations = layout.add("representations", chunk, width)
      readout = exit.readout.tracePlan(rows: chunk, width: width, in: &layout)
      classifier = Classifier.TracePlan(exit.classifier, rows: chunk, in: &layout)
    }
  }

  /// Creates a classifier for chunks of up to `chunk` images; the model's objective must classify.
  package init(_ model: Model, chunk: Int) {
    guard let last = Exit(last: model) else { preconditionFailure("a model that does not classify") }
    (self.model, self.chunk, exits) = (model, chunk, model.exits + [last])
    runner = model.encoder.makeRunner(chunk: chunk)
    var layout = Layout(alignment: 16)
    var plans: [Plan] = []
    for exit in exits { plans.append(Plan(exit, model.encoder, chunk: chunk, in: &layout)) }
    self.plans = plans
    work = Storage(layout)
  }

  /// Classifies `count` images, each given by `image(index, pixels)` as [C, H, W]. Returns their predictions in order.
  package func classify(
    _ count: Int, confidence threshold: Float, _ parameters: borrowing Storage,
    _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [Prediction] {
    precondition(count <= chunk, "\(count) images in chunks of \(chunk)")
    var predictions = [Prediction?](repeating: nil, count: count)
    runner.begin(count, parameters, image)
    var (remaining, depth) = (Array(0..<count), 0)
    for (index, exit) in exits.enumerated() where !remaining.isEmpty {
      let isLast = index == exits.count - 1
      let logits = logits(remaining.count, from: depth, exit, plans[index], isLast: isLast, parameters)
      depth = exit.depth
      var kept: [Int] = []
      for row in remaining.indices {
        let (label, confidence) = Self.largest(logits.row(row), count: logits.columns)
        if isLast || confidence >= threshold {
          predictions[remaining[row]] = Prediction(label: label, confidence: confidence, depth: depth)
        } else {
          kept.append(row)
        }
      }
      if !isLast { keep(kept, of: remaining.count, behind: depth) }
      remaining = kept.map { remaining[$0] }
    }
    return predictions.compactMap(\.self)
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

  /// Returns the predictions of each exit for a chunk of images.
  private func answers(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) -> [[Prediction]] {
    runner.begin(count, parameters, image)
    var (depth, all): (Int, [[Prediction]]) = (0, [])
    for (index, exit) in exits.enumerated() {
      let logits = logits(
        count, from: depth, exit, plans[index], isLast: index == exits.count - 1, parameters)
      depth = exit.depth
      all.append(
        (0..<count).map {
          let (label, confidence) = Self.largest(logits.row($0), count: logits.columns)
          return Prediction(label: label, confidence: confidence, depth: depth)
        })
    }
    return all
  }

  /// Returns the logits at an exit [count, C], after the blocks from depth `start` on.
  private func logits(
    _ count: Int, from start: Int, _ exit: Exit, _ plan: Plan, isLast: Bool, _ parameters: borrowing Storage
  ) -> Matrix {
    let rows = 0..<count
    let representations = work[plan.representations].rows(rows)
    if isLast {
      // The last block is computed only as far as the readout needs it.
      runner.represent(count, from: start, into: representations, parameters)
    } else {
      runner.advance(count, from: start, to: exit.depth, parameters)
      let pooled = work[plan.pooled].rows(rows)
      runner.pool(count, behind: exit.depth, into: pooled)
      exit.readout.forward(pooled, into: representations, plan.readout, rows: rows, work, parameters)
    }
    exit.classifier.forward(representations, plan.classifier, rows: rows, work, parameters)
    return work[plan.classifier.logits].rows(rows)
  }

  /// Moves the features of the remaining images to the front.
  private func keep(_ rows: [Int], of count: Int, behind depth: Int) {
    let features = runner.features(count, behind: depth)
    for (to, from) in rows.enumerated() where to != from {
      Elementwise.copy(features.rows(from..<from + 1), to: features.rows(to..<to + 1))
    }
  }

  private static func largest(_ logits: UnsafeMutablePointer<Float>, count: Int) -> (Int, Float) {
    _ = Softmax.row(logits, count: count)
    var best = 0
    for index in 1..<max(count, 1) where logits[index] > logits[best] { best = index }
    return (best, logits[best])
  }
}
