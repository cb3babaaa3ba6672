import Datasets
import Engine
import Federation
import Foundation
import Wire

/// Aggregates a round's admitted updates into one model, part by part, by the plan's rule. It reads the updates from
/// disk and keeps only the pieces in use in memory. Every weight adds the clients in the same order, so the result does
/// not depend on the number of threads.
package struct Aggregator: Sendable {
  package let plan: Plan
  let stages: PlanStages
  package let snapshot: Snapshot
  let key: RoundKey
  package let ledger: Ledger
  /// Opens a client's update.
  package let open: @Sendable (_ client: String) throws(StoreError) -> UpdateFile

  /// - Parameter open: opens the update of a client in the ledger.
  package init(
    plan: Plan, stages: PlanStages? = nil, snapshot: Snapshot, key: RoundKey, ledger: Ledger,
    open: @escaping @Sendable (_ client: String) throws(StoreError) -> UpdateFile
  ) {
    self.stages = stages ?? PlanStages(plan)
    (self.plan, self.snapshot, self.key, self.ledger, self.open) = (plan, snapshot, key, ledger, open)
  }

  /// The number of columns of a part processed at a time: 128 KiB per client.
  static let columns = 32 << 10

  /// The number of coded updates decoded at a time; each is in memory as a whole.
  static let mostDecoded = 4

  /// A client's update, with the positions of its parts.
  struct Update {
    let client: String
    /// The number of samples, limited to the maximum that counts.
    let samples: Int
    let coding: UpdateCoding
    /// The blocks of the model that it was trained on.
    let kept: [Int]
    /// The offset of each part in floats.
    let offsets: [String: Int]
  }

  /// Returns the snapshot with all parts replaced that at least one client trained. Throws ``StoreError`` if an update
  /// cannot be read, and the errors of ``UpdateCoding`` if it cannot be decoded.
  package func run(threads: Int) throws -> Snapshot {
    let updates = updates
    if case .sums(let sums) = snapshot.stage.updateContent(round: key.round) {
      return try exactStep(sums, updates)
    }
    let workers = Workers(threads)
    var parts: [String: Data] = [:]
    switch plan.round.aggregation {
    case .mean where updates.contains { $0.coding.codec != .plain }:
      parts = try decodedMeans(updates, workers)
    case .mean: parts = try means(updates, workers)
    case .median: parts = try robust(updates, workers) { CoordinateRules.median(of: $0) }
    case .trimmedMean:
      let trim = plan.round.trim
      parts = try robust(updates, workers) { CoordinateRules.trimmedMean(of: $0, trim: trim) }
    }
    return snapshot.replacing(parts: parts)
  }

  var updates: [Update] {
    let most = ledger.mostCounted
    return ledger.inClientOrder.map { client, offer in
      var (offsets, offset): ([String: Int], Int) = ([:], 0)
      let kept = plan.keptBlocks(key, client: client)
      for version in snapshot.trained(keeping: kept) {
        offsets[version.name] = offset
        offset += version.bytes / 4
      }
      let coding = stages.coding(offer.codec, key, client: client)
      return Update(
        client: client, samples: min(offer.samples, most), coding: coding, kept: kept, offsets: offsets)
    }
  }

  var parts: [Model.Part] { snapshot.stage.parts }

  private func samples(of updates: [Update]) -> Int { updates.reduce(0) { $0 + $1.samples } }

  /// Adds the clients' sums over rows, one client after the other, and returns the model after the exact step.
  private func exactStep(_ sums: BlockSums, _ updates: [Update]) throws -> Snapshot {
    guard !updates.isEmpty else { return snapshot }
    var total = [Double](repeating: 0, count: sums.numbers)
    for update in updates {
      let own = try values(of: update, 0, count: sums.count).withUnsafeBufferPointer(FloatPairs.decode)
      for index in total.indices { total[index] += own[index] }
    }
    return sums.next(after: snapshot, total, rows: ledger.plausibleSamples)
  }

  // MARK: - Aggregation rules

  /// Returns the means of plain updates, of which it reads a limited number of columns at a time.
  private func means(_ updates: [Update], _ workers: Workers) throws -> [String: Data] {
    try byColumns(updates, workers) { part, columns, holders in
      var mean = WeightedMean(count: columns.count, samples: samples(of: holders))
      for update in holders {
        let first = (update.offsets[part.name] ?? 0) + columns.lowerBound
        try open(update.client).floats(from: first, count: columns.count) { values, index in
          mean.fold(values, at: index, samples: update.samples)
        }
      }
      return mean.finish()
    }
  }

  /// Returns the means if some updates are coded; decodes each once, as a whole.
  private func decodedMeans(_ updates: [Update], _ workers: Workers) throws -> [String: Data] {
    var sums: [String: WeightedMean] = [:]
    for part in parts {
      let samples = samples(of: updates.filter { $0.offsets[part.name] != nil })
      if samples > 0 { sums[part.name] = WeightedMean(count: part.range.count, samples: samples) }
    }
    let batch = min(workers.count, Self.mostDecoded)
    for first in stride(from: 0, to: updates.count, by: batch) {
      let some = updates[first..<min(first + batch, updates.count)]
      for (update, values) in zip(some, try workers.map(some.count) { try decode(some[first + $0]) }) {
        values.withUnsafeBufferPointer { values in
          for part in parts {
            guard let offset = update.offsets[part.name] else { continue }
            let own = UnsafeBufferPointer(rebasing: values[offset..<offset + part.range.count])
            sums[part.name]?.fold(own, samples: update.samples)
          }
        }
      }
    }
    return sums.mapValues { $0.finish() }
  }

  /// Applies a rule to all clients' values of each weight.
  private func robust(
    _ updates: [Update], _ workers: Workers, _ rule: @escaping ([[Float]]) -> [Float]
  ) throws -> [String: Data] {
    try byColumns(updates, workers) { part, columns, holders in
      let matrix = try holders.map { update in
        try values(of: update, (update.offsets[part.name] ?? 0) + columns.lowerBound, count: columns.count)
      }
      return rule(matrix).withUnsafeBytes { Data($0) }
    }
  }

  /// Computes every part, some columns at a time, from the updates that contain it.
  private func byColumns(
    _ updates: [Update], _ workers: Workers,
    _ rule: (_ part: Model.Part, _ columns: Range<Int>, _ holders: [Update]) throws -> Data
  ) throws -> [String: Data] {
    var result: [String: Data] = [:]
    for part in parts {
      let holders = updates.filter { $0.offsets[part.name] != nil }
      guard !holders.isEmpty else { continue }
      let starts = Array(stride(from: 0, to: part.range.count, by: Self.columns))
      var data = Data(count: 4 * part.range.count)
      try data.withUnsafeMutableBytes { bytes in
        nonisolated(unsafe) let bytes = bytes
        _ = try workers.map(starts.count) { block in
          let columns = starts[block]..<min(starts[block] + Self.columns, part.range.count)
          let values = try rule(part, columns, holders)
          bytes[(4 * columns.lowerBound)..<(4 * columns.upperBound)].copyBytes(from: values)
        }
      }
      result[part.name] = data
    }
    return result
  }

  // MARK: - Reading

  func decode(_ update: Update) throws -> [Float] {
    try update.coding.decode(
      try open(update.client).bytes(), base: snapshot.trainedWeights(keeping: update.kept))
  }

  /// Returns some values of an update. Reads only these from a plain update; decodes any other as a whole.
  func values(of update: Update, _ first: Int, count: Int) throws -> [Float] {
    guard update.coding.codec == .plain else { return Array(try decode(update)[first..<first + count]) }
    var values: [Float] = []
    values.reserveCapacity(count)
    try open(update.client).floats(from: first, count: count) { piece, _ in values += piece }
    return values
  }
}

/// Trains the whole sub-model on the server's images after aggregation (LW-FedSSL, arXiv 2401.11647v3, server-side
/// calibration).
struct Calibrator: Sendable {
  let plan: Plan
  let calibration: Plan.Calibration
  let images: ImageSet
  let threads: Int

  /// Loads the plan's calibration images; nil if it has none. Throws ``ServerError/calibrationData(_:)``.
  init?(_ plan: Plan, threads: Int) throws(ServerError) {
    guard let calibration = plan.method.calibration else { return nil }
    do {
      // Strict, because these images belong to the job and no user sees a report of broken files.
      images = try plan.labelled(
        DataSpec(parsing: calibration.data).dataset(role: .train, for: plan.encoder.input, strict: true)
      ).images
    } catch {
      throw .calibrationData(error.description)
    }
    guard images.count >= 2 else { throw .calibrationData("\(calibration.data): two images are needed") }
    (self.plan, self.calibration, self.threads) = (plan, calibration, threads)
  }

  /// Returns the calibrated snapshot and the mean loss; `progress` gets step and steps.
  func calibrate(
    _ snapshot: Snapshot, _ key: RoundKey, progress: @escaping @Sendable (Int, Int) -> Void
  ) async throws -> (Snapshot, loss: Float) {
    try await TrainingThread.run("calibration") {
      let options = plan.calibrationOptions(key, calibration, images: images.count)
      let trainer = Trainer(snapshot.stage.trainingEverything, options, workers: Workers(threads))
      snapshot.write(into: trainer.parameters)
      trainer.begin()
      let seed = plan.trainingSeed(key, client: "(server)")
      let augmenter = Augmenter(plan.augmentation, for: plan.encoder)
      let views = AugmentedViews(images, augmenter, seed: seed, workers: threads)
      let summary = trainer.train(views, seed: seed) { step, steps, loss in
        progress(step, steps)
        // Further steps are useless once the loss is not finite.
        return loss.isFinite
      }
      return (snapshot.replacing(trainer.parameters), summary.loss)
    }
  }
}
