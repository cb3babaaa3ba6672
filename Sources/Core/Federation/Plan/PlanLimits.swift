import Datasets
import Support

/// The largest values that a plan may hold. Beyond them lies a slip of the keyboard or a model that no
/// client of this kind of federation could train; a rejection says so before anything is allocated.
package enum PlanLimits {
  /// Characters of a plan's file: a hundred times a complete plan.
  package static let file = 262_144
  /// Characters of a name: it stands in tables and in a database's index.
  package static let name = 100
  /// Characters of a data SPEC: a path of Linux is at most that long.
  package static let text = 4096
  /// Pixels along a side: self-supervision gains nothing above, and memory grows with the square.
  package static let image = 1024
  /// Fixed views of an image: their cache is as many times the images' tokens.
  package static let views = 256
  /// Colour planes: the augmentation of colour is that of red, green and blue.
  package static let channels = 3
  /// Patches of an image: attention keeps a matrix of tokens x tokens a head, 64 MB at this size.
  package static let patches = 4096
  /// D: above the widest published vision transformers (ViT-22B: 6144).
  package static let width = 8192
  /// Blocks: twice the deepest vision transformers that were trained from scratch.
  package static let depth = 256
  /// Attention heads: a head narrower than 32 at the greatest width learns little.
  package static let heads = 256
  /// Hidden width over D: the usual ratio is 4.
  package static let mlpRatio = 16
  /// Parameters of an encoder: at 4 GiB of float32 a layer-wise round still fits a server's memory.
  package static let parameters = 1 << 30
  /// Width of a head's hidden layer and output: BYOL's widest is 4096.
  package static let head = 16384
  /// Rounds of a stage: at a minute each, two months.
  package static let rounds = 100_000
  /// Laps through the layers: more is end-to-end training by other means.
  package static let laps = 100
  /// Rounds whose mean loss is one number.
  package static let window = 1000
  /// Epochs of a round or of a calibration: more is not federated any more.
  package static let epochs = 10_000
  /// Images a step: similarities are a matrix of 2B x 2B.
  package static let batch = 65536
  /// Base learning rate: AdamW moves a weight by about that much a step.
  package static let learningRate: Float = 10
  /// Weight of a term of the loss (alignment, proximal): beyond it the loss itself is rounded away.
  package static let weight: Float = 1000
  /// Temperature: similarities are at most 1, so a greater one makes all of them alike.
  package static let temperature: Float = 100
  /// Strength of brightness, contrast and saturation: beyond 1 the lower end stays at nothing.
  package static let jitter: Float = 2
  /// Width over height of a crop: a thinner strip shows no object.
  package static let ratio: Float = 10
  /// Standard deviation of a blur, in pixels: wider than that nothing of a small image is left.
  package static let sigma: Float = 32
  /// Side of a blur's kernel, in pixels: what the largest image can reflect.
  package static let kernel = AugmentationSettings.largestKernel(forSize: image)
  /// Mean and deviation of a channel whose values are 0 … 1, with room for other scales.
  package static let channel: Float = 1000
  /// Clients asked in one round: each is an open connection of one coordinator.
  package static let cohort = 10_000
  /// Clients that join.
  package static let minimumClients = 100_000
  /// Tries of a round: beyond it a fault only fills the log.
  package static let attempts = 1000
  /// Images that a client may claim: more than a federation has.
  package static let samples = 100_000_000
  /// Waiting for clients: a year.
  package static let timeout = TimeSpan.hours(365 * 24)
  /// Length of a round: a week.
  package static let deadline = TimeSpan.hours(7 * 24)
}
