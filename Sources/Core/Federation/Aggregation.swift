import Engine

/// The weighted mean of clients' updates (FedAvg, arXiv 1602.05629): Σ w_n u_n with w_n = |D_n| / |D|.
///
/// Updates are folded in one at a time, so it needs memory for one, however many there are. Folding in the
/// same order gives the same bits.
package struct WeightedMean {
  private var sum: [Float]
  private let total: Int
  private var folded = 0

  /// For updates of `count` floats over `samples` images in all.
  package init(count: Int, samples: Int) {
    precondition(samples > 0, "no samples to weigh updates by")
    sum = [Float](repeating: 0, count: count)
    total = samples
  }

  /// Adds one client's update, trained on `samples` images.
  package mutating func fold(_ update: UnsafeBufferPointer<Float>, samples: Int) {
    precondition(update.count == sum.count, "an update of \(update.count) floats instead of \(sum.count)")
    precondition(samples > 0 && folded + samples <= total, "\(folded) and \(samples) of \(total) samples")
    folded += samples
    guard let from = update.baseAddress else { return }
    sum.withUnsafeMutableBufferPointer {
      guard let to = $0.baseAddress else { return }
      Elementwise.add(from, to: to, count: update.count, scale: Float(Double(samples) / Double(total)))
    }
  }

  /// The mean, once updates of all samples are folded in.
  package func finish() -> [Float] {
    precondition(folded == total, "\(folded) of \(total) samples were folded in")
    return sum
  }
}
