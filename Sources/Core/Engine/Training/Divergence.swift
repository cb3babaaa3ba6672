/// When weights are no model any more, but what a training left behind that diverged.
///
/// A weight may grow ten-thousandfold in a round, counted from the largest one before it, and from 1 where all of them
/// are smaller. AdamW moves a weight by about the learning rate a step, so that no training that learns comes near it.
/// And with ordinary weights times 10,000 a forward pass stays in float32: between two normalisations stand
/// three factors, a gain and two matrices, whose square is 10^24 times the usual, and float32 has 10^38. So whatever passes,
/// the next round can train from it.
package enum Divergence {
  /// How many times the largest weight before, or 1, a weight may be.
  package static let mostGrowth: Float = 10_000

  /// Whether weights whose largest magnitude is `largest` are past it, after weights whose largest is `before`. What is
  /// no finite number always is.
  package static func isReached(_ largest: Float, after before: Float) -> Bool {
    !(largest.isFinite && largest <= mostGrowth * max(before, 1))
  }
}

extension Trainer {
  /// Whether what trains has diverged since ``begin()``.
  package var hasDiverged: Bool {
    Divergence.isReached(
      stage.ranges.reduce(0) { Elementwise.larger($0, Elementwise.largestMagnitude(parameters[$1])) },
      after: Elementwise.largestMagnitude(reference.storage.all))
  }
}
