extension PlanField {
  /// Every field, in the order of the file.
  package static let all: [PlanField] =
    job + encoder + heads + method + calibration + local + round + traffic + augmentation

  private static let job: [PlanField] = [
    PlanField(
      "name", \.name, .text(upTo: PlanLimits.name),
      "What the job is called in reports and in the store."),
    PlanField("seed", \.seed, .seed, "Every random number of the job follows from it."),
    PlanField(
      "initial", \.initial, .file,
      "A safetensors file with timm's names that the encoder starts from, relative to the plan's file."),
  ]

  private static let encoder: [PlanField] = [
    PlanField(
      "encoder.family", \.encoder.family, .choice,
      "Kind of encoder: a vision transformer, or a ResNet-18 for small images."),
    PlanField(
      "encoder.image", \.encoder.imageSide, .integer(1...PlanLimits.image), unit: "pixels", or: .required,
      "Side of the square images."),
    PlanField(
      "encoder.channels", \.encoder.imageChannels, .integer(1...PlanLimits.channels), unit: "planes",
      "Colour planes of an image: 1 or 3."),
    PlanField(
      "encoder.patch", \.encoder.vit.patch, of: .vit, .integer(1...PlanLimits.image), unit: "pixels",
      or: .required, "Side of a patch; divides `image`, into at most \(PlanLimits.patches) patches."),
    PlanField(
      "encoder.width", \.encoder.width, .integer(1...PlanLimits.width), unit: "numbers", or: .required,
      "Length of a token, a multiple of `heads`; for resnet the channels of its first layer, 64 in ResNet-18."
    ),
    PlanField(
      "encoder.depth", \.encoder.depth, .integer(1...PlanLimits.depth), unit: "blocks",
      or: .requiredUnlessResNet { $0.encoder.depth = 4 },
      "Blocks of the finished encoder, a multiple of `layersPerStage`; at most 4 for resnet, its default."),
    PlanField(
      "encoder.heads", \.encoder.vit.heads, of: .vit, .integer(1...PlanLimits.heads), unit: "heads",
      or: .required, "Attention heads of a block."),
    PlanField(
      "encoder.mlpRatio", \.encoder.vit.mlpRatio, of: .vit, .integer(1...PlanLimits.mlpRatio),
      unit: "x width",
      "Width of a block's hidden layer."),
  ]

  private static let heads: [PlanField] = [
    PlanField(
      "heads.hidden", \.heads.hidden, .integer(1...PlanLimits.head), unit: "numbers",
      "Width of the projector's two hidden layers."),
    PlanField(
      "heads.output", \.heads.output, .integer(1...PlanLimits.head), unit: "numbers",
      "Length of a projection, which the loss compares."),
    PlanField("heads.bias", \.heads.bias, .flag, "Whether the heads' linear layers have a bias."),
  ]

  private static let local: [PlanField] = [
    PlanField(
      "local.epochs", \.local.epochs, .integer(1...PlanLimits.epochs), unit: "epochs",
      "Passes of a client over its images in a round."),
    PlanField(
      "local.batch", \.local.batch, .integer(2...PlanLimits.batch), unit: "images",
      "Images a step; an incomplete last batch is dropped, and the loss needs two to compare."),
    PlanField(
      "local.learningRate", \.local.learningRate, .number(.above(0, to: PlanLimits.learningRate)),
      unit: "per 256 images", "Base learning rate; a step uses it times batch / 256."),
    PlanField(
      "local.weightDecay", \.local.weightDecay, .number(.from(0, to: 1)), unit: "x learning rate",
      "AdamW's decoupled weight decay."),
    PlanField(
      "local.schedule", \.local.schedule, .choice,
      "The learning rate inside a stage: the same throughout, or down to nothing along a cosine."),
    PlanField(
      "local.proximal", \.local.proximal, .number(.from(0, to: PlanLimits.weight)), unit: "x loss",
      "FedProx: weight of half the squared distance to the round's global weights; 0 turns it off."),
    PlanField(
      "local.views", \.local.views, .integer(0...PlanLimits.views), unit: "views",
      "Fixed views of each image, an even number; the frozen layers' outputs for them are kept on disk. 0: fresh views."
    ),
    PlanField(
      "local.memory", \.local.memory, .memory, unit: "bytes",
      "What a client's process may have resident: it computes in slices to stay below, or refuses."),
  ]

  private static let traffic: [PlanField] = [
    PlanField(
      "traffic.codec", \.traffic.codec, .choice,
      "How updates travel: as they are, or as differences of so many bits; top-k sends the largest alone."),
    PlanField(
      "traffic.kept", \.traffic.kept, .number(.above(0, to: 1)), unit: "share",
      "Values of an update that top-k sends; the rest is added to the client's next one."),
    PlanField(
      "traffic.layers", \.traffic.layers, .choice,
      "How layers travel to clients: as they are, or as differences to an earlier version; not top-k."),
  ]

  private static let round: [PlanField] = [
    PlanField(
      "round.cohort", \.round.cohort, .integer(1...PlanLimits.cohort), unit: "clients",
      "Clients that are asked to train in a round."),
    PlanField(
      "round.quorum", \.round.quorum, .integer(1...PlanLimits.cohort), unit: "clients",
      or: .derived("3/4 of `cohort`, rounded up") {
        $0.round.quorum = Plan.RoundRules.quorum(cohort: $0.round.cohort)
      },
      "Updates without which a round is not committed; at most `cohort`."),
    PlanField(
      "round.minimumClients", \.round.minimumClients, .integer(1...PlanLimits.minimumClients),
      unit: "clients",
      or: .derived("`cohort`") { $0.round.minimumClients = $0.round.cohort },
      "Clients that the first round waits for; if more than `cohort`, up to `deadline` once there is a quorum."
    ),
    PlanField(
      "round.overSelection", \.round.overSelection, .integer(0...PlanLimits.cohort), unit: "clients",
      "Clients that are asked beyond the cohort, against stragglers: the first `cohort` updates are enough."),
    PlanField(
      "round.stragglers", \.round.stragglers, .choice,
      "An update that is not ready when its round is over: rejected, or folded into the stage's next round."),
    PlanField(
      "round.normLimit", \.round.normLimit, .number(.from(0, to: PlanLimits.weight)),
      unit: "x the weights' length",
      "How far an update may be from the weights that it started from; 0: any distance."),
    PlanField(
      "round.attempts", \.round.attempts, .integer(1...PlanLimits.attempts), unit: "tries",
      "How often a round is tried before the server gives up."),
    PlanField(
      "round.maxSamples", \.round.maxSamples, .claim(upTo: PlanLimits.samples), unit: "images",
      "What a client's claim of images weighs at most; auto: ten times the lower median of the round's claims."
    ),
    PlanField(
      "round.aggregation", \.round.aggregation, .choice,
      "How updates become one: by mean weighted with samples, or weight by weight by median or trimmed mean."),
    PlanField(
      "round.trim", \.round.trim, .integer(0...PlanLimits.cohort), unit: "clients",
      "Values of a weight that trimmed-mean leaves out at either end; less than half of `quorum`."),
    PlanField(
      "round.deadline", \.round.deadline, .duration(upTo: PlanLimits.deadline), unit: "with the value",
      "How long the clients have for a round: a whole number with ms, s, m or h."),
    PlanField(
      "round.wait", \.round.wait, .duration(upTo: PlanLimits.deadline), unit: "with the value",
      or: .derived("`10s`, or `deadline` where that is shorter") {
        $0.round.wait = Plan.RoundRules.wait(deadline: $0.round.deadline)
      },
      "How long a round with a quorum waits for the rest of `cohort` before it begins; at most `deadline`."),
    PlanField(
      "round.timeout", \.round.timeout, .duration(upTo: PlanLimits.timeout), unit: "with the value",
      or: .derived("`24h`, or `deadline` where that is longer") {
        $0.round.timeout = max(.hours(24), $0.round.deadline)
      },
      "How long a round waits for enough clients before the try has failed; at least `deadline`."),
  ]
}
