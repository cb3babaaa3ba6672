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
