import Engine
import Foundation

/// The weighted mean of clients' updates (FedAvg, arXiv 1602.05629): Σ w_n u_n with w_n = |D_n| / |D|.
///
/// Updates are folded in one at a time, so it needs memory for one, however many there are. Folding in the
/// same order gives the same bits.
package struct WeightedMean {
  /// Float32 values as they travel: what becomes of them is a layer.
  private var sum: Data
  private let count: Int
  private let total: Int
  private var folded = 0
  /// Values of the update under way that are still to come.
  private var missing = 0

  /// For updates of `count` floats over `samples` images in all.
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

  /// Adds some values of a client's update, from an index on; the next client's are folded in when all of it are.
  package mutating func fold(_ values: UnsafeBufferPointer<Float>, at first: Int, samples: Int) {
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

  /// The mean, once updates of all samples are folded in: float32, little-endian, as it travels.
  package func finish() -> Data {
    precondition(folded == total && missing == 0, "\(folded) of \(total) samples were folded in")
    return sum
  }
}

/// How the admitted updates of a round become the global weights.
package enum AggregationRule: String, Sendable, Codable, CaseIterable {
  /// Σ w_n u_n with w_n = |D_n| / |D| (FedAvg, arXiv 1602.05629).
  case mean
  /// The median of every weight's values, whoever they are from (arXiv 1803.01498, definition 1).
  case median
  /// The mean of what is left of every weight's values without the least and the greatest (arXiv 1803.01498,
  /// definition 2).
  case trimmedMean = "trimmed-mean"
}

/// Rules that look at one weight at a time: an update may be far off in any of them without moving the
/// result far. Clients count equally, since a claim of many samples would otherwise buy influence.
package enum CoordinateRules {
  /// The median; of an even number the mean of the two in the middle.           updates N x [L] -> [L]
  package static func median(of updates: [[Float]]) -> [Float] {
    reduce(updates) { values in
      let middle = values.count / 2
      return values.count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
    }
  }

  /// The mean without the `trim` least and the `trim` greatest; `trim` is cut to what leaves a value.
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
