extension PlanField {
  static let method: [PlanField] = [
    PlanField(
      "method.strategy", \.method.strategy, .choice,
      "Which layers exist, train and travel: one stage's alone, all up to it, or everything at once."),
    PlanField(
      "method.layersPerStage", \.method.layersPerStage, .integer(1...PlanLimits.depth), unit: "blocks",
      "Blocks that a stage adds."),
    PlanField(
      "method.laps", \.method.laps, .integer(1...PlanLimits.laps), unit: "laps",
      "How often layer-wise training goes through the layers; in a further lap the layers above are frozen, too."
    ),
    PlanField(
      "method.roundsPerStage", \.method.roundsPerStage, .rounds(upTo: PlanLimits.rounds), unit: "rounds",
      "Rounds of a stage, with plateau at most. End-to-end runs the rounds of all stages in its single one."),
    PlanField(
      "method.curriculum", \.method.curriculum, .choice,
      "What ends a stage: its number of rounds, or a loss that no longer falls."),
    PlanField(
      "method.plateauWindow", \.method.plateauWindow, .integer(1...PlanLimits.window), unit: "rounds",
      "Rounds whose mean loss plateau compares with that of as many rounds before."),
    PlanField(
      "method.plateauImprovement", \.method.plateauImprovement, .number(.from(0, to: 1)), unit: "share",
      "Plateau ends a stage whose mean loss has fallen by less than this share."),
    PlanField(
      "method.leastRounds", \.method.leastRounds, .integer(1...PlanLimits.rounds), unit: "rounds",
      "Rounds that a stage of plateau has at least."),
    PlanField(
      "method.initialisation", \.method.initialisation, .choice,
      or: .derived("`transfer`; `random` for resnet") {
        $0.method.initialisation = $0.encoder.family == .resnet ? .random : .transfer
      },
      "How a new layer starts: as a copy of the layer below, or at random."),
    PlanField("method.ssl", \.method.ssl, .choice, "The self-supervised loss."),
    PlanField(
      "method.momentum", \.method.momentum, .number(.from(0, to: 1)),
      "How much of the target branch a step keeps, with mocov3 and byol."),
    PlanField(
      "method.activeBlocks", \.method.activeBlocks, .integer(0...PlanLimits.depth), unit: "blocks",
      "Depth dropout: blocks that run at a client at most, drawn anew each round; 0: all of them."),
    PlanField(
      "method.temperature", \.method.temperature, .number(.above(0, to: PlanLimits.temperature)),
      "Divides the similarities in the loss."),
    PlanField(
      "method.alignment", \.method.alignment, .number(.from(0, to: PlanLimits.weight)), unit: "x loss",
      "Weight of the alignment with the global model's projections; 0 turns it off."),
  ]

  static let calibration: [PlanField] = [
    PlanField(
      "method.calibration.data", \.method.calibrationFields.data, .dataSpec, or: .required,
      "The server's own images, as a data SPEC such as `shapes:512`."),
    PlanField(
      "method.calibration.epochs", \.method.calibrationFields.epochs, .integer(1...PlanLimits.epochs),
      unit: "epochs", "Passes over those images."),
    PlanField(
      "method.calibration.every", \.method.calibrationFields.every, .interval(upTo: PlanLimits.rounds),
      unit: "rounds", "When it happens: after every round, after every n-th of a stage, or at a stage's end."),
  ]

  static let augmentation: [PlanField] = [
    PlanField(
      "augmentation.cropArea", \.augmentation.cropArea, .range(.above(0, to: 1)), unit: "of the image",
      "Area that a random crop keeps, before it is resized."),
    PlanField(
      "augmentation.cropRatio", \.augmentation.cropRatio, .range(.above(0, to: PlanLimits.ratio)),
      unit: "width / height", "Shape of a crop."),
    PlanField(
      "augmentation.flip", \.augmentation.flip, .number(.from(0, to: 1)), unit: "probability",
      "Horizontal flip."),
    PlanField(
      "augmentation.jitter", \.augmentation.jitter, .number(.from(0, to: 1)), unit: "probability",
      "Colour jitter: brightness, contrast, saturation and hue in random order."),
    PlanField(
      "augmentation.brightness", \.augmentation.brightness, .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Brightness is scaled by 1 ± this."),
    PlanField(
      "augmentation.contrast", \.augmentation.contrast, .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Contrast is scaled by 1 ± this."),
    PlanField(
      "augmentation.saturation", \.augmentation.saturation, .number(.from(0, to: PlanLimits.jitter)),
      unit: "± factor", "Saturation is scaled by 1 ± this."),
    PlanField(
      "augmentation.hue", \.augmentation.hue, .number(.from(0, to: 0.5)), unit: "± turns",
      "How far the hue turns round the colour wheel."),
    PlanField(
      "augmentation.grayscale", \.augmentation.grayscale, .number(.from(0, to: 1)), unit: "probability",
      "Loss of all colour."),
    PlanField(
      "augmentation.blur", \.augmentation.blur, .numbers(2...2, "one a view", .from(0, to: 1)),
      unit: "probability", "Gaussian blur."),
    PlanField(
      "augmentation.blurKernel", \.augmentation.blurKernel, .kernel(upTo: PlanLimits.kernel), unit: "pixels",
      "Side of the blur's kernel, less than twice `image`; auto: near a tenth of it, and at least 3."),
    PlanField(
      "augmentation.blurSigma", \.augmentation.blurSigma, .range(.above(0, to: PlanLimits.sigma)),
      unit: "pixels", "Standard deviation of the blur."),
    PlanField(
      "augmentation.solarize", \.augmentation.solarize, .numbers(2...2, "one a view", .from(0, to: 1)),
      unit: "probability", "Inversion of the bright values."),
    PlanField(
      "augmentation.solarizeThreshold", \.augmentation.solarizeThreshold, .number(.from(0, to: 1)),
      unit: "of full brightness", "From which value on solarizing inverts."),
    PlanField(
      "augmentation.mean", \.augmentation.mean,
      .numbers(
        1...PlanLimits.channels, "one for all channels or one a channel",
        .from(-PlanLimits.channel, to: PlanLimits.channel)),
      unit: "of full brightness", "Subtracted from every value, last of all."),
    PlanField(
      "augmentation.deviation", \.augmentation.deviation,
      .numbers(
        1...PlanLimits.channels, "one for all channels or one a channel",
        .above(0, to: PlanLimits.channel)),
      unit: "of full brightness", "What is left is divided by it."),
  ]
}
