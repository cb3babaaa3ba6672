import Client
import Datasets
import Federation

/// The part of the images that is this client's.
struct LocalShare: Sendable {
  /// What clients are called before their index, as in a simulation.
  static let stem = "client"

  let partition: Partition
  let share: Share
  /// Where the share was named: an option, or a variable of the environment.
  let source: String

  /// Throws ``DatasetError`` where the images cannot be shared out so, whatever the plan's seed.
  func check(_ images: ImageSet) throws(DatasetError) {
    _ = try partition.split(images, clients: share.count, seed: 0)
  }

  /// The share of a plan: the one that a simulation gives the client of this index.
  func images(of images: ImageSet, _ plan: Plan) throws(DatasetError) -> ImageSet {
    try share.images(of: images, by: partition, seed: plan.seed)
  }
}
