import Engine

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
