/// A regulariser on the weights. Regularisers add a term to the objective's loss; ``RepresentationPenalty`` acts on the
/// representations that the objective compares.
///
/// A new regulariser conforms to one of these protocols and is added to ``TrainingOptions``.
package protocol WeightPenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }

  /// Returns the penalty on the parameters in `ranges` and adds its gradient; `reference` contains the received
  /// parameters.
  func loss(
    _ parameters: borrowing Storage, reference: borrowing Storage, ranges: [Range<Int>],
    adding gradients: borrowing Storage
  ) -> Float
}

/// A regulariser on the representations that an objective compares: the projections of a self-supervised loss.
package protocol RepresentationPenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }
  /// Whether it uses the projections of the received global model for the same images.
  var usesReference: Bool { get }

  /// Adds its work space for batches of `batch` images in `views` views to a layout.
  func makeStep(batch: Int, views: Int, width: Int, in layout: inout Layout) -> any RepresentationPenaltyStep
}

/// A regulariser with its memory.
package protocol RepresentationPenaltyStep: Sendable {
  /// Returns the penalty and adds its gradient to dz.    z, dz, reference [views · batch, width]
  func loss(
    _ z: Matrix, reference: Matrix, adding dz: Matrix, _ work: borrowing Storage
  ) -> Float
}
