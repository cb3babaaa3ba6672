import Engine
import Foundation

/// The weighted mean of clients' updates (FedAvg, arXiv 1602.05629): Σ w_n u_n with w_n = |D_n| / |D|.
///
/// Updates are added one at a time, so the memory is that of one update. The same order gives the same bits.
package struct WeightedMean {
  /// The sum as little-endian float32 values, which become a layer without a copy.
  private var sum: Data
  private let count: Int
  private let total: Int
  private var folded = 0
  /// The number of values of the current update that are still missing.
  private var missing = 0

  /// Creates a mean for updates of `count` floats over `samples` images in total.
  package init(count: Int, samples: Int) {
    precondition(samples > 0, "no samples to weigh updates by")
    sum = Data(count: 4 * count)
    (self.count, total) = (count, samples)
  }

  /// Adds one client's update, trained on `samples` images.
  package mutating func fold(_ update: UnsafeBufferPointer<Float>, samples: Int) {
    precondition(update.count == count, "an update of \(update.count) floats instead of \(count)")
    fold(update, at: 0, samples: samples)
  }

  /// Adds some values of a client's update, starting at an index. The next client's values follow after all values of
  /// this one. A client without samples takes no part.
  package mutating func fold(_ values: UnsafeBufferPointer<Float>, at first: Int, samples: Int) {
    guard samples != 0 else { return }
    if missing == 0 {
      precondition(samples > 0 && folded + samples <= total, "\(folded) and \(samples) of \(total) samples")
      folded += samples
      missing = count
    }
    precondition(
      first == count - missing && values.count <= missing,
      "\(values.count) values at \(first) of an update of which \(missing) of \(count) are missing")
    missing -= values.count
    guard let from = values.baseAddress else { return }
    sum.withUnsafeMutableBytes {
      guard let to = $0.bindMemory(to: Float.self).baseAddress else { return }
      Elementwise.add(
        from, to: to + first, count: values.count, scale: Float(Double(samples) / Double(total)))
    }
  }

  /// Returns the mean after updates of all samples are added: little-endian float32, as transmitted.
  package func finish() -> Data {
    precondition(folded == total && missing == 0, "\(folded) of \(total) samples were folded in")
    return sum
  }
}

/// The rule that combines the admitted updates of a round into the global weights.
package enum AggregationRule: String, Sendable, Codable, CaseIterable {
  /// Σ w_n u_n with w_n = |D_n| / |D| (FedAvg, arXiv 1602.05629).
  case mean
  /// The coordinate-wise median (arXiv 1803.01498, definition 1).
  case median
  /// The coordinate-wise mean without the smallest and the largest values (arXiv 1803.01498, definition 2).
  case trimmedMean = "trimmed-mean"
}

/// Robust coordinate-wise rules: a single update with extreme values has a limited effect on the result. All clients
/// have the same weight, because a claim of many samples would otherwise increase a client's influence.
package enum CoordinateRules {
  /// Returns the median; for an even number the mean of the two middle values.    updates N x [L] -> [L]
  package static func median(of updates: [[Float]]) -> [Float] {
    reduce(updates) { values in
      let middle = values.count / 2
      return values.count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
    }
  }

  /// Returns the mean without the `trim` smallest and the `trim` largest values; `trim` is reduced so that a value
  /// remains.
  ///
  /// updates N x [L] -> [L]
  package static func trimmedMean(of updates: [[Float]], trim: Int) -> [Float] {
    let trim = min(trim, (updates.count - 1) / 2)
    return reduce(updates) { values in
      let kept = values[trim..<values.count - trim]
      return Float(kept.reduce(0.0) { $0 + Double($1) } / Double(kept.count))
    }
  }

  private static func reduce(_ updates: [[Float]], _ rule: ([Float]) -> Float) -> [Float] {
    precondition(!updates.isEmpty, "no updates to aggregate")
    let count = updates[0].count
    precondition(updates.allSatisfy { $0.count == count }, "updates of different lengths")
    var values = [Float](repeating: 0, count: updates.count)
    return (0..<count).map { index in
      for client in updates.indices { values[client] = updates[client][index] }
      values.sort()
      return rule(values)
    }
  }
}
