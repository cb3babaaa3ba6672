/// A term of the loss beside the objective's, at one of three places: on the weights (``WeightPenalty``), on the
/// representations that the objective compares (``RepresentationPenalty``), or on the outputs of residual branches
/// (``BranchPenalty``).
///
/// A new one conforms to one of these, and joins ``TrainingOptions``.
package protocol WeightPenalty: Sendable {
  /// Of its term, in the field's words.
  var name: String { get }

  /// Returns the penalty of parameters and adds its gradient, at every range of `ranges`; `reference` has them as they
  /// were received.
  func loss(
    _ parameters: borrowing Storage, reference: borrowing Storage, ranges: [Range<Int>],
    adding gradients: borrowing Storage
  ) -> Float
}

/// A penalty on what an objective compares: the projections of a self-supervised loss.
package protocol RepresentationPenalty: Sendable {
  /// Of its term, in the field's words.
  var name: String { get }
  /// Whether it compares with what the global model as received makes of the same images.
  var usesReference: Bool { get }

  /// Adds its work space for batches of `batch` images in so many views to a layout.
  func makeStep(batch: Int, views: Int, width: Int, in layout: inout Layout) -> any RepresentationPenaltyStep
}

/// A penalty with its memory.
package protocol RepresentationPenaltyStep: Sendable {
  /// Returns the penalty and adds its gradient to dz.    z, dz, reference [views · batch, width]
  func loss(
    _ z: Matrix, reference: Matrix, adding dz: Matrix, _ work: borrowing Storage
  ) -> Float
}
