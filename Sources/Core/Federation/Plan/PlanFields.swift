import Engine

extension PlanField {
  /// Every field, in the order of the file.
  package static let all: [PlanField] =
    job + encoder + heads + method + stageEnd + calibration + classification + negativeFree + masked + infomax
    + regression
    + cascade
    + RegulariserSections.all.flatMap { $0.fields } + local
    + round + traffic + augmentation + crops

  private static let job: [PlanField] = [
    PlanField(
      "name", \.name, .text(upTo: PlanLimits.name),
      "The job's name in reports and in the store."),
    PlanField("seed", \.seed, .seed, "The seed of all random numbers of the job."),
    PlanField(
      "initial", \.initial, .file,
      "The initial weights: a safetensors file with timm's names, relative to the plan's file."),
  ]

  private static let encoder: [PlanField] = [
    PlanField(
      "encoder.family", \.encoder.family, .choice,
      "Kind of encoder: a vision transformer, a ResNet-18 for small images, a graph convolutional or attention network, or a deep linear network of rows."
    ),
    PlanField(
      "encoder.image", \.encoder.imageSide, of: .images, .integer(1...PlanLimits.image), unit: "pixels",
      or: .required,
      "Side of the square images."),
    PlanField(
      "encoder.channels", \.encoder.imageChannels, of: .images, .integer(1...PlanLimits.channels),
      unit: "planes",
      "Colour planes of an image: 1 or 3."),
    PlanField(
      "encoder.features", \.encoder.features, of: .features, .integer(1...PlanLimits.features),
      unit: "numbers", or: .required, "Numbers of a node or row of the data."),
    PlanField(
      "encoder.patch", \.encoder.vit.patch, of: .vit, .integer(1...PlanLimits.image), unit: "pixels",
      or: .required, "Side of a patch; divides `image`, into at most \(PlanLimits.patches) patches."),
    PlanField(
      "encoder.width", \.encoder.width, .integer(1...PlanLimits.width), unit: "numbers", or: .required,
      "Length of a token, a multiple of `heads`; for resnet the channels of its first layer, 64 in ResNet-18; for gcn and gat the width of each layer."
    ),
    PlanField(
      "encoder.depth", \.encoder.depth, .integer(1...PlanLimits.depth), unit: "blocks",
      or: .requiredUnless("required, except for resnet", .resnet) { $0.encoder.depth = 4 },
      "Blocks of the finished encoder, a multiple of `layersPerStage`; at most 4 for resnet, its default."),
    PlanField(
      "encoder.heads", \.encoder.heads, of: .attention, .integer(1...PlanLimits.heads), unit: "heads",
      or: .requiredUnless("required for vit; `4` for gat", .gat) { $0.encoder.gat.heads = 4 },
      "Attention heads of a block."),
    PlanField(
      "encoder.mlpRatio", \.encoder.vit.mlpRatio, of: .vit, .integer(1...PlanLimits.mlpRatio),
      unit: "x width",
      "Width of a block's hidden layer."),
    PlanField(
      "encoder.outputs", \.encoder.linear.outputs, of: .linear, .integer(1...PlanLimits.linearFeatures),
      unit: "numbers", or: .required, "Targets of a row of the data."),
    PlanField(
      "encoder.start", \.encoder.linear.start, of: .linear, .choice,
      "Initial matrices: corners of random orthogonal ones, or normal numbers of variance 1 / inputs."),
    PlanField(
      "encoder.skip", \.encoder.gat.skip, of: .gat, .flag,
      "Whether a block adds a linear map of its inputs to what a node attends to."),
    PlanField(
      "encoder.propagation", \.encoder.gcn.propagation, of: .gcn, .choice,
      "Values of a node that a layer takes: its own and their mean with the neighbours' (lgcn), or the neighbours' mean."
    ),
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

  private static let local: [PlanField] =
    [
      PlanField(
        "local.epochs", \.local.epochs, .integer(1...PlanLimits.epochs), unit: "epochs",
        "Passes of a client over its images in a round."),
      PlanField(
        "local.batch", \.local.batch, .integer(2...PlanLimits.batch), unit: "images",
        "Images a step; an incomplete last batch is dropped."),
      PlanField(
        "local.learningRate", \.local.learningRate, .number(.above(0, to: PlanLimits.learningRate)),
        unit: "per 256 images", "Base learning rate; a step uses it times batch / 256."),
      PlanField(
        "local.weightDecay", \.local.weightDecay, .number(.from(0, to: 1)), unit: "x learning rate",
        "Weight decay: AdamW's decoupled one; with sgd and lars a part of the gradient, with lars of matrices only."
      ),
      PlanField(
        "local.schedule", \.local.schedule, .choice,
        "The learning rate within a stage: constant, or a cosine that falls to 0."),
    ] + optimiser + [
      PlanField(
        "local.proximal", \.local.proximal, .number(.from(0, to: PlanLimits.weight)), unit: "x loss",
        "FedProx: weight of half the squared distance to the round's global weights; 0 turns it off."),
      PlanField(
        "local.views", \.local.views, .integer(0...PlanLimits.views), unit: "views",
        "Fixed views of each image, an even number; the frozen layers' outputs for them are kept on disk. 0: fresh views."
      ),
      PlanField(
        "local.setting", \.local.setting, of: .nodes, .choice,
        "What a training on a graph sees: all of a client's nodes, or only the training nodes and the edges among them."
      ),
      neighbours,
      PlanField(
        "local.memory", \.local.memory, .memory, unit: "bytes",
        "Memory limit of a client's process: it computes in slices to stay below, and ends if it cannot."),
    ]

  private static let traffic: [PlanField] = [
    PlanField(
      "traffic.codec", \.traffic.codec, .choice,
      "Coding of updates: plain weights, coded differences, or only the largest differences (top-k)."),
    PlanField(
      "traffic.kept", \.traffic.kept, .number(.above(0, to: 1)), unit: "share",
      "Values of an update that top-k sends; the rest is added to the client's next update."),
    PlanField(
      "traffic.layers", \.traffic.layers, .choice,
      "Coding of layers for clients: plain weights, or coded differences to an earlier version; not top-k."),
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
      "Updates that a round needs to be committed; at most `cohort`."),
    PlanField(
      "round.minimumClients", \.round.minimumClients, .integer(1...PlanLimits.minimumClients),
      unit: "clients",
      or: .derived("`cohort`") { $0.round.minimumClients = $0.round.cohort },
      "Clients that the first round waits for; if more than `cohort`, up to `deadline` once there is a quorum."
    ),
    PlanField(
      "round.overSelection", \.round.overSelection, .integer(0...PlanLimits.cohort), unit: "clients",
      "Clients asked beyond the cohort, against stragglers: a round needs only the first `cohort` updates."),
    PlanField(
      "round.stragglers", \.round.stragglers, .choice,
      "Updates that arrive after the end of their round: rejected, or folded into the stage's next round."),
    PlanField(
      "round.normLimit", \.round.normLimit, .number(.from(0, to: PlanLimits.weight)),
      unit: "x the weights' length",
      "Largest distance of an update from the weights that it started from; 0: no limit."),
    PlanField(
      "round.attempts", \.round.attempts, .integer(1...PlanLimits.attempts), unit: "attempts",
      "Attempts at a round before the server gives up."),
    PlanField(
      "round.maxSamples", \.round.maxSamples, .claim(upTo: PlanLimits.samples), unit: "images",
      "Limit of the images that a client's update counts for; auto: ten times the lower median of the round."
    ),
    PlanField(
      "round.aggregation", \.round.aggregation, .choice,
      "Aggregation of updates: mean weighted by samples, or median or trimmed mean of each weight."),
    PlanField(
      "round.trim", \.round.trim, .integer(0...PlanLimits.cohort), unit: "clients",
      "Values of a weight that trimmed-mean drops at each end; less than half of `quorum`."),
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
      "How long a round waits for enough clients before the attempt fails; at least `deadline`."),
  ]
}

extension PlanField {
  static let method: [PlanField] = [
    PlanField(
      "method.strategy", \.method.strategy, .choice,
      "Layers that are trained and sent: only the stage's, all up to the stage's, all at once, or only the heads."
    ),
    PlanField(
      "method.layersPerStage", \.method.layersPerStage, .integer(1...PlanLimits.depth), unit: "blocks",
      "Blocks that a stage adds."),
    PlanField(
      "method.laps", \.method.laps, .integer(1...PlanLimits.laps), unit: "laps",
      "Passes of layer-wise training over the layers; after the first, the layers above are frozen too, or wait with classification."
    ),
    PlanField(
      "method.roundsPerStage", \.method.roundsPerStage, .rounds(upTo: PlanLimits.rounds), unit: "rounds",
      or: .derived("`15`; `1` for linear") {
        if $0.encoder.family == .linear { $0.method.roundsPerStage = .each(1) }
      },
      "Rounds of a stage, or their maximum. End-to-end runs the rounds of all stages in its single stage."
    ),
    PlanField(
      "method.initialisation", \.method.initialisation, .choice,
      or: .derived("`transfer`; `random` for resnet, gcn, gat and linear") {
        $0.method.initialisation =
          [.resnet, .gcn, .gat, .linear].contains($0.encoder.family) ? .random : .transfer
      },
      "How a new layer starts: as a copy of the layer below, or at random."),
    PlanField(
      "method.objective", \.method.objective, .choice,
      or: .derived("`simclr`; `infomax` for gat, `regression` for linear") {
        if $0.encoder.family == .gat { $0.method.objective = .infomax }
        if $0.encoder.family == .linear { $0.method.objective = .regression }
      },
      "What a stage is trained for: a self-supervised loss, the classes of labels, or the targets of rows."),
    PlanField(
      "method.momentum", \.method.momentum, .number(.from(0, to: 1)),
      "Share of the target branch that a step keeps, with mocov3 and byol."),
    PlanField(
      "method.activeBlocks", \.method.activeBlocks, .integer(0...PlanLimits.depth), unit: "blocks",
      "Depth dropout: the most blocks that a client runs, drawn in each round; 0: all blocks."),
    PlanField(
      "method.temperature", \.method.temperature, .number(.above(0, to: PlanLimits.temperature)),
      "Divides the similarities in the loss."),
    PlanField(
      "method.alignment", \.method.alignment, .number(.from(0, to: PlanLimits.weight)), unit: "x loss",
      or: .derived("`0.01`; `0` for masked, classification, infomax and regression") {
        if [.masked, .classification, .infomax, .regression].contains($0.method.objective) {
          $0.method.alignment = 0
        }
      },
      "Weight of the alignment with the global model's projections; 0 turns it off."),
  ]

  static let stageEnd: [PlanField] = [
    PlanField(
      "method.stageEnd.when", \.method.stageEnd.when, .choice,
      "What ends a stage: its number of rounds, a loss that no longer falls, or a learned controller."),
    PlanField(
      "method.stageEnd.window", \.method.stageEnd.window, .integer(1...PlanLimits.window), unit: "rounds",
      "Rounds whose mean loss plateau compares with that of the same number of rounds before."),
    PlanField(
      "method.stageEnd.improvement", \.method.stageEnd.improvement, .number(.from(0, to: 1)), unit: "share",
      "Plateau ends a stage whose mean loss has fallen by less than this share."),
    PlanField(
      "method.stageEnd.minimum", \.method.stageEnd.minimum, .integer(1...PlanLimits.rounds), unit: "rounds",
      "Minimum rounds of a stage with plateau."),
    PlanField(
      "method.stageEnd.model", \.method.stageEnd.model, .file,
      "The controller: a file of `fedsim search-controller`, relative to the plan's file."),
  ]

  static let calibration: [PlanField] = [
    PlanField(
      "method.calibration.data", \.method.calibrationFields.data, .dataSpec, or: .required,
      "The server's own images, as a data SPEC such as `shapes:512`.", in: .calibration),
    PlanField(
      "method.calibration.epochs", \.method.calibrationFields.epochs, .integer(1...PlanLimits.epochs),
      unit: "epochs", "Passes over those images.", in: .calibration),
    PlanField(
      "method.calibration.every", \.method.calibrationFields.every, .interval(upTo: PlanLimits.rounds),
      unit: "rounds",
      "When to calibrate: after every round, after every n-th of a stage, or at a stage's end.",
      in: .calibration),
  ]

  static let classification: [PlanField] = [
    PlanField(
      "method.classification.classes", \.method.classificationFields.classes,
      .classes(upTo: PlanLimits.classes),
      unit: "classes", or: .required, "The classes of the job: their number, or a list of their names.",
      in: .classification),
    PlanField(
      "method.classification.hidden", \.method.classificationFields.hidden, .integer(0...PlanLimits.head),
      unit: "numbers", "Width of the classifier's hidden layer; 0: a linear classifier.", in: .classification),
    PlanField(
      "method.classification.smoothing", \.method.classificationFields.smoothing, .number(.from(0, to: 0.9)),
      unit: "share", "Label smoothing: the share of a label that is spread over all classes.",
      in: .classification),
    PlanField(
      "method.classification.grid", \.method.classificationFields.grid, .integer(1...PlanLimits.image),
      unit: "cells",
      "A resnet's classifier reads the means of grid x grid cells of its map; divides the map's side.",
      in: .classification),
  ]

  static let augmentation: [PlanField] = [
    PlanField(
      "augmentation.cropArea", \.augmentation.cropArea, of: .images, .range(.above(0, to: 1)),
      unit: "of the image",
      "Area that a random crop keeps, before it is resized."),
    PlanField(
      "augmentation.cropRatio", \.augmentation.cropRatio, of: .images,
      .range(.above(0, to: PlanLimits.ratio)),
      unit: "width / height", "Shape of a crop."),
    PlanField(
      "augmentation.padding", \.augmentation.padding, of: .images, .integer(0...PlanLimits.padding),
      unit: "pixels",
      "Zeros around the normalised image, of which a view is a random crop; 0: a random resized crop instead."
    ),
    PlanField(
      "augmentation.flip", \.augmentation.flip, of: .images, .number(.from(0, to: 1)), unit: "probability",
      "Horizontal flip."),
    PlanField(
      "augmentation.jitter", \.augmentation.jitter, of: .images, .number(.from(0, to: 1)),
      unit: "probability",
      "Colour jitter: brightness, contrast, saturation and hue in random order."),
    PlanField(
      "augmentation.brightness", \.augmentation.brightness, of: .images,
      .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Brightness is scaled by 1 ± this."),
    PlanField(
      "augmentation.contrast", \.augmentation.contrast, of: .images, .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Contrast is scaled by 1 ± this."),
    PlanField(
      "augmentation.saturation", \.augmentation.saturation, of: .images,
      .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Saturation is scaled by 1 ± this."),
    PlanField(
      "augmentation.hue", \.augmentation.hue, of: .images, .number(.from(0, to: 0.5)), unit: "± turns",
      "Largest rotation of the hue."),
    PlanField(
      "augmentation.grayscale", \.augmentation.grayscale, of: .images, .number(.from(0, to: 1)),
      unit: "probability",
      "Conversion to greyscale."),
    PlanField(
      "augmentation.blur", \.augmentation.blur, of: .images, .numbers(2...2, "one a view", .from(0, to: 1)),
      unit: "probability", "Gaussian blur."),
    PlanField(
      "augmentation.blurKernel", \.augmentation.blurKernel, of: .images, .kernel(upTo: PlanLimits.kernel),
      unit: "pixels",
      "Side of the blur's kernel, less than twice `image`; auto: about a tenth of `image`, at least 3."),
    PlanField(
      "augmentation.blurSigma", \.augmentation.blurSigma, of: .images,
      .range(.above(0, to: PlanLimits.sigma)),
      unit: "pixels", "Standard deviation of the blur."),
    PlanField(
      "augmentation.solarize", \.augmentation.solarize, of: .images,
      .numbers(2...2, "one a view", .from(0, to: 1)),
      unit: "probability", "Inversion of the bright values."),
    PlanField(
      "augmentation.solarizeThreshold", \.augmentation.solarizeThreshold, of: .images,
      .number(.from(0, to: 1)),
      unit: "of full brightness", "Value from which solarizing inverts."),
    PlanField(
      "augmentation.mean", \.augmentation.mean,
      .numbers(
        1...PlanLimits.channels, "one for all channels or one a channel",
        .from(-PlanLimits.channel, to: PlanLimits.channel)),
      unit: "of full brightness", "Subtracted from every value, as the last step."),
    PlanField(
      "augmentation.deviation", \.augmentation.deviation,
      .numbers(
        1...PlanLimits.channels, "one for all channels or one a channel",
        .above(0, to: PlanLimits.channel)),
      unit: "of full brightness", "Every value is divided by it after that."),
  ]
}
