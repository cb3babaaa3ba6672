/// Where a trainer's images come from: two augmented views of each of `count` images.
///
/// A view is a function of its arguments alone, whatever thread asks and in whatever order, so that a run
/// can be repeated. Several threads ask at once.
package protocol ViewSource {
  var count: Int { get }
  /// Whether ``write(view:image:epoch:worker:into:)`` gives the frozen prefix's outputs, features,
  /// instead of images.
  var givesFeatures: Bool { get }

  /// Writes view 0 or 1 of an image as [C, H, W] floats, normalised; `epoch` tells one draw of the
  /// augmentation from the next, and `worker` whose scratch may be used.
  func write(
    view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>)
}

extension ViewSource {
  package var givesFeatures: Bool { false }
}
