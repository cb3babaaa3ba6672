import Foundation

/// AdamW (arXiv 1711.05101, algorithm 2, with the decay scaled by the learning rate as in PyTorch):
///
/// w -= η λ w;  m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;
/// w -= η (m / (1 - β1^t)) / (√(v / (1 - β2^t)) + ε)
package final class AdamW: Optimiser {
  private let first: Storage
  private let second: Storage
  /// The ranges of parameters that it updates.
  private let ranges: [Range<Int>]
  private var steps = 0
  package let weightDecay: Float
  package let moments: Moments

  /// The constants β1, β2 and ε.
  package struct Moments: Sendable, Hashable {
    package var beta1, beta2, epsilon: Float

    package init(beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8) {
      (self.beta1, self.beta2, self.epsilon) = (beta1, beta2, epsilon)
    }
  }

  /// Creates zero moments for the parameters of `ranges`. Only those of `moving` are updated, which excludes running
  /// statistics.
  package init(
    _ ranges: [Range<Int>], moving: [Range<Int>]? = nil, weightDecay: Float, moments: Moments = Moments()
  ) {
    self.ranges = moving ?? ranges
    first = Storage(ranges)
    second = Storage(ranges)
    self.weightDecay = weightDecay
    self.moments = moments
  }

  package func step(
    _ parameters: borrowing Storage, _ gradients: borrowing Storage, learningRate: Float, _ workers: Workers
  ) {
    steps += 1
    for range in ranges { move(range, parameters, gradients, learningRate: learningRate, workers) }
  }

  private func move(
    _ range: Range<Int>, _ parameters: borrowing Storage, _ gradients: borrowing Storage,
    learningRate: Float, _ workers: Workers
  ) {
    let (m, v) = (first[range].start, second[range].start)
    let (w, g) = (parameters[range].start, gradients[range].start)
    let (beta1, beta2, epsilon) = (moments.beta1, moments.beta2, moments.epsilon)
    let correction1 = Float(1 - pow(Double(beta1), Double(steps)))
    let correction2 = Float(1 - pow(Double(beta2), Double(steps)))
    let rate = learningRate / correction1
    let decay = 1 - learningRate * weightDecay
    let root = 1 / correction2.squareRoot()
    // The parts have a fixed size, so that the result does not depend on the number of workers.
    let part = 1 << 16
    workers.run((range.count + part - 1) / part) { task, _ in
      let start = task * part
      let (m, v, w, g) = (m + start, v + start, w + start, g + start)
      Elementwise.sweep(min(part, range.count - start)) {
        let gradient = Vector.load(g + $0)
        let mean = Vector.load(m + $0) * beta1 + gradient * (1 - beta1)
        let square = Vector.load(v + $0) * beta2 + gradient * gradient * (1 - beta2)
        mean.store(m + $0)
        square.store(v + $0)
        (Vector.load(w + $0) * decay - mean * rate / (square.squareRoot() * root + epsilon)).store(w + $0)
      } scalar: {
        m[$0] = m[$0] * beta1 + g[$0] * (1 - beta1)
        v[$0] = v[$0] * beta2 + g[$0] * g[$0] * (1 - beta2)
        w[$0] = w[$0] * decay - m[$0] * rate / (v[$0].squareRoot() * root + epsilon)
      }
    }
  }
}
