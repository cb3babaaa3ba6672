import Datasets
import Engine
import Support

/// A constraint between fields. A rule is checked only if each of its fields has a valid value, so that one mistake is
/// reported once.
struct PlanRule: Sendable {
  /// The field for which the problem is reported.
  let field: String
  /// The fields with which it is compared.
  let others: [String]
  /// Returns the problem, or nil if the constraint holds.
  let rejection: @Sendable (Plan) -> String?

  init(_ field: String, _ others: String..., rejection: @escaping @Sendable (Plan) -> String?) {
    self.init(field, others: others, rejection: rejection)
  }

  init(_ field: String, others: [String], rejection: @escaping @Sendable (Plan) -> String?) {
    (self.field, self.others, self.rejection) = (field, others, rejection)
  }
}

extension Plan {
  /// A problem of a plan as a value, wherever it comes from.
  package struct Problem: Sendable, Hashable {
    /// The path of the field, such as `encoder.width`.
    package let field: String
    /// The paths of the fields with which it conflicts.
    package let others: [String]
    package let reason: String
  }

  /// The problems of the plan: values beyond the limits of their fields, then violated constraints between fields.
  package var problems: [Problem] { problems(ignoring: []) }

  /// Returns the problems of fields other than `rejected`, which have problems that are known already.
  func problems(ignoring rejected: Set<String>) -> [Problem] {
    let values = PlanField.all.filter { $0.isPresent(in: self) && !rejected.contains($0.path) }.compactMap {
      field in field.problem(self).map { Problem(field: field.path, others: [], reason: $0) }
    }
    // One mistake is reported once.
    var rejected = rejected.union(values.map(\.field))
    var problems = values
    for rule in PlanRule.all where rejected.isDisjoint(with: [rule.field] + rule.others) {
      guard let reason = rule.rejection(self) else { continue }
      problems.append(Problem(field: rule.field, others: rule.others, reason: reason))
      rejected.insert(rule.field)
    }
    return problems
  }
}

extension PlanRule {
  static let all: [PlanRule] =
    general + optimiser + negativeFree + cascade + nodes + graphConvolution + graphAttention + regression
    + masked + crops

  private static let general: [PlanRule] = [
    PlanRule("traffic.layers") { plan in
      plan.traffic.layers == .topK
        ? "is top-k, which is only for updates" : nil
    },
    PlanRule("local.views") { plan in
      plan.local.views % 2 == 0
        ? nil : "is \(plan.local.views); must be even, since first and second views are drawn differently"
    },
    PlanRule("encoder.depth", "encoder.family") { plan in
      plan.encoder.family == .resnet && plan.encoder.depth > 4
        ? "is \(plan.encoder.depth); a resnet has 4 layers" : nil
    },
    PlanRule("encoder.image", "encoder.family", "encoder.depth") { plan in
      let least = 1 << (plan.encoder.depth - 1)
      guard plan.encoder.family == .resnet, plan.encoder.depth <= 4 else { return nil }
      return plan.encoder.imageSide % least != 0
        ? "is \(plan.encoder.imageSide); each layer of a resnet but the first halves it, so \(least) must divide it"
        : nil
    },
    PlanRule("method.initialisation", "encoder.family") { plan in
      guard [.resnet, .linear].contains(plan.encoder.family), plan.method.initialisation == .transfer else {
        return nil
      }
      return plan.encoder.family == .linear
        ? "is transfer; all matrices of a linear network exist from the start, and start at random"
        : "is transfer; the layers of a resnet differ in shape, so a new one starts at random"
    },
    PlanRule("method.activeBlocks", "encoder.family", "method.layersPerStage", "method.strategy") { plan in
      let active = plan.method.activeBlocks
      guard active > 0 else { return nil }
      if plan.encoder.family == .resnet { return "is \(active); every layer of a resnet must run" }
      if plan.method.strategy.hasSingleStage {
        return "is \(active); \(plan.method.strategy.rawValue) runs all blocks in its single stage"
      }
      if plan.method.classification != nil {
        return
          "is \(active); a stage of a classification leaves an exit behind its blocks, which must all run"
      }
      return active < plan.method.layersPerStage
        ? "is \(active), less than the \(plan.method.layersPerStage) blocks that a stage trains" : nil
    },
    PlanRule("local.views", "method.activeBlocks") { plan in
      plan.local.views > 0 && plan.method.activeBlocks > 0
        ? "is \(plan.local.views); must be 0 with depth dropout, because the prefix changes in each round"
        : nil
    },
    PlanRule("round.stragglers", "method.activeBlocks") { plan in
      plan.round.stragglers == .fold && plan.method.activeBlocks > 0
        ? "is fold; must be reject with depth dropout, because a client's blocks change in each round" : nil
    },
    PlanRule("round.timeout", "round.deadline") { plan in
      plan.round.timeout < plan.round.deadline
        ? "is \(plan.round.timeout), less than the deadline of \(plan.round.deadline)"
        : nil
    },
    PlanRule("round.wait", "round.deadline") { plan in
      plan.round.wait > plan.round.deadline
        ? "is \(plan.round.wait), more than the deadline of \(plan.round.deadline)" : nil
    },
    PlanRule("round.trim", "round.aggregation", "round.quorum") { plan in
      plan.round.aggregation == .trimmedMean && 2 * plan.round.trim >= plan.round.quorum
        ? "is \(plan.round.trim); must be less than half of the quorum of \(plan.round.quorum)" : nil
    },
    PlanRule("encoder.channels") { plan in
      plan.encoder.input.isImages && plan.encoder.imageChannels == 2
        ? "is 2; must be 1 (greyscale) or 3 (red, green, blue)" : nil
    },
    PlanRule("encoder.patch", "encoder.image", "encoder.family") { plan in
      guard let c = plan.encoder.value as? ViTConfiguration else { return nil }
      guard c.images.side % c.patch == 0 else {
        return "is \(c.patch), which does not divide the image's \(c.images.side) pixels"
      }
      return c.patches > PlanLimits.patches
        ? "is \(c.patch), which makes \(c.patches) patches; at most \(PlanLimits.patches)" : nil
    },
    PlanRule("encoder.width", "encoder.heads") { plan in
      guard [.vit, .gat].contains(plan.encoder.family) else { return nil }
      let (width, heads) = (plan.encoder.width, plan.encoder.heads)
      return width % heads == 0 ? nil : "is \(width), which is not a multiple of \(heads) heads"
    },
    PlanRule("encoder.width", "encoder.depth", "encoder.mlpRatio") { plan in
      guard ![.gcn, .gat, .linear].contains(plan.encoder.family) else { return nil }
      // Four matrices of attention and two of the MLP; the other parameters of a block are negligible.
      let width = plan.encoder.width
      let ratio = (plan.encoder.value as? ViTConfiguration)?.mlpRatio ?? 4
      let parameters = plan.encoder.depth * (4 + 2 * ratio) * width * width
      return parameters <= PlanLimits.parameters
        ? nil : "gives blocks of \(parameters) parameters altogether; at most \(PlanLimits.parameters)"
    },
    PlanRule("method.layersPerStage", "encoder.depth") { plan in
      let (layers, depth) = (plan.method.layersPerStage, plan.encoder.depth)
      return depth % layers == 0 ? nil : "is \(layers), which does not divide the encoder's \(depth) blocks"
    },
    PlanRule("method.laps", "method.strategy") { plan in
      let (laps, strategy) = (plan.method.laps, plan.method.strategy)
      guard laps > 1, strategy != .layerWise else { return nil }
      let what = strategy == .headOnly ? "no layers" : "all layers at once"
      return "is \(laps); \(strategy.rawValue) trains \(what), and has one lap"
    },
    PlanRule("method.objective", "method.classification.classes") { plan in
      plan.method.objective == .classification && plan.method.classification == nil
        ? "is classification, which needs the section method.classification with classes" : nil
    },
    PlanRule("method.classification.classes", "method.objective") { plan in
      plan.method.objective != .classification && plan.method.classification != nil
        ? "is only for the objective classification; this plan has \(plan.method.objective.rawValue)" : nil
    },
    PlanRule("method.alignment", "method.objective") { plan in
      [.masked, .classification, .infomax].contains(plan.method.objective) && plan.method.alignment > 0
        ? "is \(plan.method.alignment.yaml); must be 0 for \(plan.method.objective.rawValue), which has no projections"
        : nil
    },
    PlanRule("method.bottleneck.kind", "local.views") { plan in
      plan.method.regularisers[BottleneckSettings.self]?.kind == .information && plan.local.views > 0
        ? "is information, which needs the images; with local.views the frozen layers' outputs stand for them"
        : nil
    },
    PlanRule(
      "method.classification.grid", "method.classification.classes", "encoder.family", "encoder.image",
      "encoder.depth"
    ) { plan in
      guard let grid = plan.method.classification?.grid, grid > 1 else { return nil }
      guard plan.encoder.family == .resnet else {
        return "is \(grid); only a resnet has a map, of whose cells a classifier can read the means"
      }
      let side = plan.encoder.imageSide >> (plan.encoder.depth - 1)
      return side > 0 && side % grid == 0
        ? nil : "is \(grid), which does not divide the \(side) pixels along the last layer's map"
    },
    PlanRule("encoder.family", "encoder.image", "encoder.depth") { plan in
      guard let grid = (plan.encoder.value as? ResNetConfiguration)?.grid else { return nil }
      return grid == 1 ? nil : "has a grid of \(grid) as an encoder; it belongs to a classifier"
    },
    PlanRule("method.stageEnd.model", "method.stageEnd.when") { plan in
      let end = plan.method.stageEnd
      if end.when == .controller && end.model == nil {
        return "is none; when: controller needs a file of fedsim search-controller"
      }
      return end.when != .controller && end.model != nil
        ? "is only for when: controller; this plan has \(end.when.rawValue)" : nil
    },
    PlanRule("method.calibration.every", "method.stageEnd.when") { plan in
      plan.method.calibration?.every == .stage && plan.method.stageEnd.when != .fixed
        ? "is stage; with \(plan.method.stageEnd.when.rawValue), the last round of a stage is not known before it is committed"
        : nil
    },
    PlanRule("method.roundsPerStage", "method.layersPerStage", "encoder.depth") { plan in
      guard case .list(let rounds) = plan.method.roundsPerStage,
        plan.encoder.depth % plan.method.layersPerStage == 0, rounds.count != plan.steps
      else { return nil }
      return "has \(rounds.count) entries for \(plan.steps) stages of \(plan.method.layersPerStage) blocks"
    },
    PlanRule("round.quorum", "round.cohort") { plan in
      let (quorum, cohort) = (plan.round.quorum, plan.round.cohort)
      return quorum <= cohort ? nil : "is \(quorum), more than the cohort of \(cohort)"
    },
    PlanRule("round.minimumClients", "round.cohort") { plan in
      let (minimum, cohort) = (plan.round.minimumClients, plan.round.cohort)
      return minimum >= cohort ? nil : "is \(minimum), less than the cohort of \(cohort)"
    },
    PlanRule("augmentation.blurKernel", "encoder.image") { plan in
      guard plan.encoder.input.isImages else { return nil }
      let image = plan.encoder.imageSide
      let largest = AugmentationSettings.largestKernel(forSize: image)
      guard let kernel = plan.augmentation.blurKernel, kernel > largest else { return nil }
      return "is \(kernel), more than images of \(image) pixels allow; at most \(largest)"
    },
    PlanRule("augmentation.padding", "encoder.image") { plan in
      guard plan.encoder.input.isImages else { return nil }
      let (padding, image) = (plan.augmentation.padding, plan.encoder.imageSide)
      return padding <= image / 2
        ? nil : "is \(padding), more than half of the image's \(image) pixels"
    },
    PlanRule("augmentation.mean", "encoder.channels") { plan in
      channels(plan.augmentation.mean.count, of: plan)
    },
    PlanRule("augmentation.deviation", "encoder.channels") { plan in
      channels(plan.augmentation.deviation.count, of: plan)
    },
  ]

  private static func channels(_ count: Int, of plan: Plan) -> String? {
    guard plan.encoder.input.isImages else { return nil }
    let channels = plan.encoder.imageChannels
    return count == 1 || count == channels
      ? nil : "has \(count) entries; must have one for all channels or one for each of \(channels)"
  }
}

/// The limits of values in a plan. Values above them are mistakes or models that clients cannot train; they are
/// rejected before memory is allocated.
package enum PlanLimits {
  /// The characters of a plan's file: a hundred times a complete plan.
  package static let file = 262_144
  /// The characters of a name, which is used in tables and in a database index.
  package static let name = 100
  /// The characters of a data SPEC: the maximum length of a path on Linux.
  package static let text = 4096
  /// The pixels along a side: self-supervision does not benefit from more, and memory grows with the square.
  package static let image = 1024
  /// The fixed views of an image: the cache grows in proportion.
  package static let views = 256
  /// The local views of an image: SwAV has 6, DINO 10.
  package static let localViews = 64
  /// The colour channels: colour augmentation is defined for red, green and blue.
  package static let channels = 3
  /// The features of a node or row: a bag of words has fewer.
  package static let features = 1 << 20
  /// The inputs and outputs of a linear network: its second moments have 2 GiB at this size.
  package static let linearFeatures = 1 << 14
  /// The patches of an image: attention keeps a matrix of tokens x tokens per head, 64 MB at this size.
  package static let patches = 4096
  /// The width D: above the widest published vision transformer (ViT-22B: 6144).
  package static let width = 8192
  /// The number of blocks: twice the deepest vision transformers trained from scratch.
  package static let depth = 256
  /// The number of attention heads: heads narrower than 32 at the maximum width learn little.
  package static let heads = 256
  /// The ratio of hidden width to D: usually 4.
  package static let mlpRatio = 16
  /// The parameters of an encoder: with 4 GiB of float32, a layer-wise round still fits into a server's memory.
  package static let parameters = 1 << 30
  /// The width of a head's hidden layer and output: at most 4096 in BYOL.
  package static let head = 16384
  /// The classes: more than any published data set of images has.
  package static let classes = 100_000
  /// The rounds of a stage: two months at a minute each.
  package static let rounds = 100_000
  /// The laps through the layers: more are equivalent to end-to-end training.
  package static let laps = 100
  /// The rounds over which a loss is averaged.
  package static let window = 1000
  /// The epochs of a round or a calibration: more would not be federated training.
  package static let epochs = 10_000
  /// The distances at which neighbours are sampled: a deeper sample reaches the whole of most graphs.
  package static let distances = 8
  /// The neighbours that are sampled of a node.
  package static let neighbours = 10_000
  /// The nodes that a step may sample, of which each has some kilobytes.
  package static let sampledNodes = 1 << 24
  /// The hops of a propagation.
  package static let hops = 8
  /// The images per step: similarities are a matrix of 2B x 2B.
  package static let batch = 65536
  /// The base learning rate: AdamW changes a weight by about this value per step, and LARS by its share of the length.
  package static let learningRate: Float = 10
  /// The weight of a term of the loss (alignment, proximal): above it, rounding would eliminate the main loss.
  package static let weight: Float = 1000
  /// The parameter of the kinetic term: above it, the term is less than rounding of any loss.
  package static let tau: Float = 100_000
  /// The temperature: similarities are at most 1, so a higher temperature makes all of them equal.
  package static let temperature: Float = 100
  /// The strength of brightness, contrast and saturation: above 1 only the upper end of the range grows.
  package static let jitter: Float = 2
  /// The width of a crop divided by its height: a narrower strip shows no object.
  package static let ratio: Float = 10
  /// The padding in pixels: half of the largest image, so that a crop keeps at least a quarter of any image.
  package static let padding = image / 2
  /// The standard deviation of a blur in pixels: a larger one removes all content of small images.
  package static let sigma: Float = 32
  /// The side of a blur kernel in pixels: limited by reflection of the largest image.
  package static let kernel = AugmentationSettings.largestKernel(forSize: image)
  /// The mean and standard deviation of a channel with values in 0 … 1, with a margin for other scales.
  package static let channel: Float = 1000
  /// The clients assigned in one round: each is an open connection of the coordinator.
  package static let cohort = 10_000
  /// The minimum number of clients.
  package static let minimumClients = 100_000
  /// The attempts at a round: with more, a permanent fault only fills the log.
  package static let attempts = 1000
  /// The samples that a client may claim: more than a federation has.
  package static let samples = 100_000_000
  /// The timeout for clients: a year.
  package static let timeout = TimeSpan.hours(365 * 24)
  /// The duration of a round: a week.
  package static let deadline = TimeSpan.hours(7 * 24)
}
