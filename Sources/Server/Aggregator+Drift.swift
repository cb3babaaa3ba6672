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

  /// Returns the sums of each update over all weights that it has.
  private func moments(of updates: [Update], _ result: Snapshot, _ workers: Workers) throws -> [UpdateMoments]
  {
    var totals = [UpdateMoments](repeating: UpdateMoments(), count: updates.count)
    let (base, mean) = (weights(of: snapshot), weights(of: result))
    // Coded updates are decoded as a whole, a few at a time; the others are read by columns.
    let coded = updates.indices.filter { updates[$0].coding.codec != .plain }
    let batch = min(workers.count, Self.mostDecoded)
    for first in stride(from: 0, to: coded.count, by: batch) {
      let some = coded[first..<min(first + batch, coded.count)]
      let sums = try workers.map(some.count) { index in
        let update = updates[some[first + index]]
        return try decode(update).withUnsafeBufferPointer { values in
          var sums = UpdateMoments()
          for part in parts {
            guard let offset = update.offsets[part.name] else { continue }
            for start in stride(from: 0, to: part.range.count, by: Self.columns) {
              let count = min(Self.columns, part.range.count - start)
              sums.add(Self.moments(values, offset + start, part.name, start, count, base, mean))
            }
          }
          return sums
        }
      }
      for (place, sums) in zip(some, sums) { totals[place] = sums }
    }
    let plain = updates.indices.filter { updates[$0].coding.codec == .plain }
    for part in parts where !plain.isEmpty {
      let starts = Array(stride(from: 0, to: part.range.count, by: Self.columns))
      let sums = try workers.map(starts.count) { block in
        let (start, count) = (starts[block], min(Self.columns, part.range.count - starts[block]))
        return try plain.map { place -> UpdateMoments in
          guard let offset = updates[place].offsets[part.name] else { return UpdateMoments() }
          return try values(of: updates[place], offset + start, count: count).withUnsafeBufferPointer {
            Self.moments($0, 0, part.name, start, count, base, mean)
          }
        }
      }
      for block in sums { for (place, sums) in zip(plain, block) { totals[place].add(sums) } }
    }
    return totals
  }

  /// Returns the weights of each trained part of a model.
  private func weights(of model: Snapshot) -> [String: [Float]] {
    let names = Set(parts.map(\.name))
    return Dictionary(
      model.versions.filter { names.contains($0.name) }.map { ($0.name, model.floats($0.digest)) }
    ) { first, _ in first }
  }

  /// Returns the sums over `count` weights of a part from `start` on, which an update has at `place` of `values`.
  private static func moments(
    _ values: UnsafeBufferPointer<Float>, _ place: Int, _ part: String, _ start: Int, _ count: Int,
    _ base: [String: [Float]], _ mean: [String: [Float]]
  ) -> UpdateMoments {
    var sums = UpdateMoments()
    guard let base = base[part], let mean = mean[part], let from = values.baseAddress else { return sums }
    base.withUnsafeBufferPointer { base in
      mean.withUnsafeBufferPointer { mean in
        guard let base = base.baseAddress, let mean = mean.baseAddress else { return }
        sums.add(from + place, mean: mean + start, base: base + start, count: count)
      }
    }
    return sums
  }
}
