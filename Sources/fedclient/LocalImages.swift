import Datasets
import Federation
import Synchronization

/// The images of this device, as an encoder wants them.
final class LocalImages: Sendable {
  private let spec: DataSpec
  private let isStrict: Bool
  private let share: LocalShare?
  private let images: Mutex<ImageSet>
  private let news = BrokenFileNews()

  /// Opens them before there is a plan: what is wrong with them shows before anything is sent.
  init(_ spec: DataSpec, isStrict: Bool, share: LocalShare? = nil) throws(DatasetError) {
    (self.spec, self.isStrict, self.share) = (spec, isStrict, share)
    let all = try spec.load(role: .train, strict: isStrict)
    try share?.check(all)
    images = Mutex(all)
  }

  /// Throws unless there are two that can be read, the fewest that make a batch: a client that has fewer is of no use to
  /// its server. Reads no more of them than are needed to know.
  func requireEnough() throws(DatasetError) { try opened.requireReadable(2) }

  /// The images as they were found or, later, as an encoder took them last.
  var opened: ImageSet { images.withLock { $0 } }

  /// The images for an encoder. What was read for none is let go where it does not fit.
  func fitted(to fit: ImageFit) throws -> ImageSet {
    return try images.withLock { images in
      if !spec.serves(images, for: fit) {
        images = try spec.load(role: .train, for: fit, strict: isStrict)
      }
      return images
    }
  }

  /// The images that this client trains on under a plan.
  func prepared(for plan: Plan) throws -> ImageSet {
    let all = try fitted(to: ImageFit(plan.encoder))
    guard let share else { return all }
    let own = try share.images(of: all, plan)
    try own.requireReadable(2)
    return own
  }

  /// A line about files that are not called as images are; nil where there are none.
  var passedOver: String? { opened.passedOver.summary }

  /// A line about files that were found broken since this was asked before; nil where there are none.
  var newlyBroken: String? { news.line(opened.broken) }
}
