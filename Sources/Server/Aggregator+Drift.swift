import Engine
import Federation
import Foundation

/// How far the clients' updates are from their mean.
extension Aggregator {
  /// Returns ``Metric/driftDistance`` and ``Metric/driftCosine`` of each client whose update is in `result`, the model
  /// of ``run(threads:)``, and their means weighted by the samples that count.
  ///
  /// It reads the updates once more, some columns at a time, and sums in an order that depends neither on arrival nor
  /// on the number of threads. Sums of rows are no updates of weights and have no drift.
  package func drift(of result: Snapshot, threads: Int) throws -> RoundMetrics {
    var metrics = RoundMetrics()
    if case .sums = snapshot.stage.updateContent(round: key.round) { return metrics }
    let updates = updates.filter { $0.samples > 0 }
    let moments = try moments(of: updates, result, Workers(threads))
    var (distances, cosines) = (WeightedSum(), WeightedSum())
    for (update, moments) in zip(updates, moments) {
      metrics[.driftDistance, client: update.client] = moments.distance
      metrics[.driftCosine, client: update.client] = moments.cosine
      distances.add(moments.distance, weight: update.samples)
      if let cosine = moments.cosine { cosines.add(cosine, weight: update.samples) }
    }
    metrics[.driftDistance] = distances.mean
    metrics[.driftCosine] = cosines.mean
    return metrics
  }

  private struct WeightedSum {
    var (sum, weight) = (0.0, 0.0)

    mutating func add(_ value: Double, weight: Int) {
      sum += Double(weight) * value
      self.weight += Double(weight)
    }

    var mean: Double? { weight > 0 ? sum / weight : nil }
  }

  /// Returns the sums of each update over all weights that it has. The weights of the models are in memory part by part.
  private func moments(
    of updates: [Update], _ result: Snapshot, _ workers: Workers
  ) throws -> [UpdateMoments] {
    var totals = [UpdateMoments](repeating: UpdateMoments(), count: updates.count)
    // Coded updates are decoded as a whole, a few at a time; the others are read by columns.
    let coded = updates.indices.filter { updates[$0].coding.codec != .plain }
    let batch = min(workers.count, Self.mostDecoded)
    for first in stride(from: 0, to: coded.count, by: batch) {
      let some = Array(coded[first..<min(first + batch, coded.count)])
      let values = try workers.map(some.count) { try decode(updates[some[$0]]) }
      for part in parts {
        let models = Models(part, snapshot, result)
        for (place, values) in zip(some, values) {
          guard let offset = updates[place].offsets[part.name] else { continue }
          values.withUnsafeBufferPointer { values in
            for columns in Self.columns(of: part) {
              totals[place].add(models.moments(values, at: offset + columns.lowerBound, columns))
            }
          }
        }
      }
    }
    let plain = updates.indices.filter { updates[$0].coding.codec == .plain }
    for part in parts where !plain.isEmpty {
      let (models, columns) = (Models(part, snapshot, result), Self.columns(of: part))
      let sums = try workers.map(columns.count) { block in
        let columns = columns[block]
        return try plain.map { place -> UpdateMoments in
          guard let offset = updates[place].offsets[part.name] else { return UpdateMoments() }
          let values = try values(
            of: updates[place], offset + columns.lowerBound, count: columns.count)
          return values.withUnsafeBufferPointer { models.moments($0, at: 0, columns) }
        }
      }
      for block in sums { for (place, sums) in zip(plain, block) { totals[place].add(sums) } }
    }
    return totals
  }

  private static func columns(of part: Model.Part) -> [Range<Int>] {
    stride(from: 0, to: part.range.count, by: columns).map {
      $0..<min($0 + columns, part.range.count)
    }
  }

  /// The weights of a part before and after a round.
  private struct Models {
    private let base, mean: [Float]

    init(_ part: Model.Part, _ before: Snapshot, _ after: Snapshot) {
      func weights(_ model: Snapshot) -> [Float] {
        model.versions.first { $0.name == part.name }.map { model.floats($0.digest) } ?? []
      }
      (base, mean) = (weights(before), weights(after))
    }

    /// Returns the sums over some columns, which an update has at `place` of `values`.
    func moments(
      _ values: UnsafeBufferPointer<Float>, at place: Int, _ columns: Range<Int>
    ) -> UpdateMoments {
      var sums = UpdateMoments()
      guard columns.upperBound <= min(base.count, mean.count), let from = values.baseAddress else {
        return sums
      }
      base.withUnsafeBufferPointer { base in
        mean.withUnsafeBufferPointer { mean in
          guard let base = base.baseAddress, let mean = mean.baseAddress else { return }
          sums.add(
            from + place, mean: mean + columns.lowerBound, base: base + columns.lowerBound,
            count: columns.count)
        }
      }
      return sums
    }
  }
}
