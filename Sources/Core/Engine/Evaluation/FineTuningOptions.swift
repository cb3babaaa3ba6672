import Foundation

/// The settings of fine-tuning. The base rate, the batch, warm-up and cosine are LW-FedSSL's (arXiv
/// 2401.11647); weight decay and the length of the warm-up are ours.
package struct FineTuningOptions: Sendable, Hashable {
  package var epochs: Int
  /// B, images a step.
  package var batch: Int
  /// For a batch of 256; a step uses it times batch / 256.
  package var learningRate: Float = 1e-3
  package var weightDecay: Float = 0.05
  /// The share of the steps over which the rate rises.
  package var warmUp: Double = 0.1
  /// Images that a worker takes through the encoder at a time.
  package var chunk = 8

  /// For so many images: where there are fewer than 256, a batch is all of them.
  package init(epochs: Int, images: Int) {
    precondition(epochs >= 0 && images > 0, "\(epochs) epochs of \(images) images")
    self.epochs = epochs
    batch = min(256, images)
  }

  /// The rate of step `step` of `steps`, counted from 0: a line up to the full rate, then half a cosine down
  /// to 0, which the step after the last would have.
  package func rate(step: Int, of steps: Int) -> Float {
    let full = learningRate * Float(batch) / 256
    let rising = Int((Double(steps) * warmUp).rounded(.up))
    if step < rising { return full * Float(step + 1) / Float(rising) }
    return full * 0.5 * (1 + cos(.pi * Float(step - rising) / Float(max(steps - rising, 1))))
  }
}
