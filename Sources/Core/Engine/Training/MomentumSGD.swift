/// Stochastic gradient descent with momentum, as PyTorch's SGD, and LARS (arXiv 1708.03888) as the code of MoCo v3:
///
/// g += λ w;  m = μ m + q g;  w -= η m
///
/// q is 1 for SGD. For LARS it is c ‖w‖ / ‖g‖ of a tensor with the trust coefficient c, or 1 if one of the norms is 0;
/// vectors (biases, normalisations) have q = 1 and λ = 0.
package final class MomentumSGD: Optimiser {
  private let velocity: Storage
  private let tensors: [OptimisedTensor]
  package let weightDecay: Float
  /// μ.
  package let momentum: Float
  /// c; nil for SGD.
  package let trustCoefficient: Float?
  /// A task sums or changes this many values, so that the result does not depend on the number of workers.
  private static let part = 1 << 16
  /// The sums of squares of each part of the largest tensor: weights, then gradients.
  private var squares: [(weights: Double, gradients: Double)]

  /// Creates a momentum of 0 for the parameters of `ranges`. Only the tensors of `moving` are updated.
  package init(
    _ ranges: [Range<Int>], moving tensors: [OptimisedTensor], weightDecay: Float, momentum: Float,
    trustCoefficient: Float? = nil
  ) {
    velocity = Storage(ranges)
    self.tensors = tensors
    (self.weightDecay, self.momentum, self.trustCoefficient) = (weightDecay, momentum, trustCoefficient)
    squares = Array(repeating: (0, 0), count: tensors.map { Self.parts(of: $0) }.max() ?? 0)
  }

  private static func parts(of tensor: OptimisedTensor) -> Int { (tensor.range.count + part - 1) / part }

  package func step(
    _ parameters: borrowing Storage, _ gradients: borrowing Storage, learningRate: Float, _ workers: Workers
  ) {
    for tensor in tensors {
      let (w, g) = (parameters[tensor.range].start, gradients[tensor.range].start)
      let isPlain = trustCoefficient != nil && tensor.isVector
      let decay = isPlain ? 0 : weightDecay
      let trust = isPlain ? 1 : trust(tensor, w, g, workers)
      move(tensor, w, g, decay: decay, trust: trust, learningRate: learningRate, workers)
    }
  }

  private func move(
    _ tensor: OptimisedTensor, _ w: UnsafeMutablePointer<Float>, _ g: UnsafeMutablePointer<Float>,
    decay: Float, trust: Float, learningRate: Float, _ workers: Workers
  ) {
    let (m, momentum) = (velocity[tensor.range].start, momentum)
    workers.run(Self.parts(of: tensor)) { task, _ in
      let start = task * Self.part
      let (m, w, g) = (m + start, w + start, g + start)
      Elementwise.sweep(min(Self.part, tensor.range.count - start)) {
        let weights = Vector.load(w + $0)
        let gradient = Vector.load(g + $0) + weights * decay
        let mean = Vector.load(m + $0) * momentum + gradient * trust
        mean.store(m + $0)
        (weights - mean * learningRate).store(w + $0)
      } scalar: {
        m[$0] = m[$0] * momentum + (g[$0] + w[$0] * decay) * trust
        w[$0] -= m[$0] * learningRate
      }
    }
  }

  /// Returns q of a tensor.
  private func trust(
    _ tensor: OptimisedTensor, _ w: UnsafeMutablePointer<Float>, _ g: UnsafeMutablePointer<Float>,
    _ workers: Workers
  ) -> Float {
    guard let trustCoefficient else { return 1 }
    let (parts, decay) = (Self.parts(of: tensor), weightDecay)
    squares.withUnsafeMutableBufferPointer { buffer in
      workers.run(parts) { task, _ in
        var (weights, gradients) = (0.0, 0.0)
        for index in task * Self.part..<min((task + 1) * Self.part, tensor.range.count) {
          let (weight, gradient) = (Double(w[index]), Double(g[index] + w[index] * decay))
          weights += weight * weight
          gradients += gradient * gradient
        }
        buffer[task] = (weights, gradients)
      }
    }
    let sums = squares[..<parts].reduce((0.0, 0.0)) { ($0.0 + $1.weights, $0.1 + $1.gradients) }
    guard sums.0 > 0, sums.1 > 0 else { return 1 }
    return Float(Double(trustCoefficient) * (sums.0 / sums.1).squareRoot())
  }
}
