import Datasets
import Engine
import Federation
import Support

extension RandomNumbers {
  init(seed: UInt64) { self.init(seed) }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  /// Returns a number of any magnitude, not only near the limit.
  mutating func float(upTo limit: Float) -> Float {
    limit * Float.random(in: 0.001...1, using: &self) * [1, 0.01, 1e-8].randomElement(using: &self)!
  }

  mutating func range(upTo limit: Float) -> ClosedRange<Float> {
    let (one, other) = (float(upTo: limit), float(upTo: limit))
    return min(one, other)...max(one, other)
  }

  mutating func text(upTo count: Int) -> String {
    let letters = Array("abc XYZ09:#'\"\\{}[],&*!|>%@`-~?äß日本🙂\u{2028}=/.")
    return String((0..<int(1...count)).map { _ in letters.randomElement(using: &self)! })
  }
}

extension Plan {
  /// Returns a random plan that the rules allow.
  static func random(_ numbers: inout RandomNumbers) -> Plan {
    let (patch, heads, layers) = (numbers.int(1...16), numbers.int(1...8), numbers.int(1...4))
    let steps = numbers.int(1...6)
    let channels = [1, 3].randomElement(using: &numbers)!
    let cohort = numbers.int(1...100)
    let rounds = (0..<steps).map { _ in numbers.int(1...PlanLimits.rounds) }
    var plan = Plan(
      name: numbers.text(upTo: 20), seed: numbers.next(),
      encoder: EncoderConfiguration(
        image: patch * numbers.int(1...64), channels: channels, patch: patch,
        width: heads * numbers.int(1...64), depth: layers * steps, heads: heads,
        mlpRatio: numbers.int(1...8)),
      heads: HeadConfiguration(
        hidden: numbers.int(1...512), output: numbers.int(1...512), bias: .random(using: &numbers)),
      method: Method(
        strategy: Strategy.allCases.randomElement(using: &numbers)!, layersPerStage: layers,
        roundsPerStage: .random(using: &numbers) ? .each(rounds[0]) : .list(rounds),
        initialisation: .random(using: &numbers) ? .transfer : .random,
        objective: [ObjectiveKind.simclr, .mocov3, .byol, .vicreg, .barlow, .masked].randomElement(
          using: &numbers)!,
        momentum: numbers.float(upTo: 1),
        temperature: numbers.float(upTo: 100), alignment: numbers.float(upTo: 1000)))
    if !plan.method.strategy.hasSingleStage, .random(using: &numbers) {
      plan.method.activeBlocks = numbers.int(layers...PlanLimits.depth)
    }
    plan.method.stageEnd = .random(&numbers)
    if Bool.random(using: &numbers) {
      var every = [Calibration.Interval.round, .rounds(numbers.int(1...9))]
      if plan.method.stageEnd.when == .fixed { every.append(.stage) }
      plan.method.calibration = Calibration(
        data: "folder:" + numbers.text(upTo: 200).filter { !"?&".contains($0) } + "d",
        epochs: numbers.int(1...9),
        every: every.randomElement(using: &numbers)!)
    }
    if Bool.random(using: &numbers) {
      plan.method.regularisers[KineticSettings.self] = KineticSettings(tau: numbers.float(upTo: 1000) + 1e-3)
    }
    if plan.method.activeBlocks == 0, .random(using: &numbers) {
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.classification = Classification(
        classes: .random(using: &numbers)
          ? .count(numbers.int(2...1000))
          : .names((0..<numbers.int(2...9)).map { "\($0) \(numbers.text(upTo: 9))" }),
        hidden: numbers.int(0...99), smoothing: numbers.float(upTo: 0.9))
      if plan.method.strategy == .layerWise, plan.method.calibration == nil, .random(using: &numbers) {
        plan.method.cascade = Cascade(
          confidence: numbers.float(upTo: 1), commitment: .random(using: &numbers),
          gate: numbers.float(upTo: 1))
      }
    }
    plan.fitObjective(&numbers)
    // A file's name is never the word for no file.
    if Bool.random(using: &numbers) { plan.initial = "." + numbers.text(upTo: 20) }
    plan.local = LocalTraining(
      epochs: numbers.int(1...100), batch: numbers.int(2...PlanLimits.batch),
      learningRate: numbers.float(upTo: 10), weightDecay: numbers.float(upTo: 1),
      schedule: .random(using: &numbers) ? .constant : .cosine,
      optimizer: OptimiserKind.allCases.randomElement(using: &numbers)!,
      momentum: numbers.float(upTo: 0.999), trustCoefficient: numbers.float(upTo: 1),
      proximal: numbers.float(upTo: 1000),
      views: plan.method.activeBlocks > 0 || plan.method.objective == .masked ? 0 : 2 * numbers.int(0...8),
      memory: .random(using: &numbers) ? nil : ByteCount(bytes: numbers.int(1...4_000_000_000)))
    if plan.local.views == 0, plan.method.objective != .masked, .random(using: &numbers) {
      plan.method.regularisers[BottleneckSettings.self] = BottleneckSettings()
    }
    plan.round = RoundRules(
      cohort: cohort, quorum: numbers.int(1...cohort), minimumClients: cohort + numbers.int(0...50),
      attempts: numbers.int(1...1000), deadline: TimeSpan(milliseconds: numbers.int(1...604_800_000)))
    (plan.round.overSelection, plan.round.normLimit) = (numbers.int(0...9), numbers.float(upTo: 1000))
    if plan.method.activeBlocks == 0 { plan.round.stragglers = .allCases.randomElement(using: &numbers)! }
    plan.round.wait = TimeSpan(milliseconds: numbers.int(1...plan.round.deadline.milliseconds))
    plan.round.maxSamples = .random(using: &numbers) ? nil : numbers.int(1...PlanLimits.samples)
    plan.round.timeout = TimeSpan(
      milliseconds: plan.round.deadline.milliseconds + numbers.int(0...604_800_000))
    plan.round.aggregation = AggregationRule.allCases.randomElement(using: &numbers)!
    plan.round.trim =
      plan.round.aggregation == .trimmedMean ? (plan.round.quorum - 1) / 2 : numbers.int(0...99)
    plan.traffic = TrafficRules(
      codec: UpdateCodec.allCases.randomElement(using: &numbers)!, kept: numbers.float(upTo: 1))
    switch numbers.int(0...6) {
    case 0, 1: plan.becomeResNet(&numbers, layers: layers)
    case 2: return plan.asGraphConvolution(&numbers)
    case 3: return plan.asRegression(&numbers)
    case 4: return plan.asGraphAttention(&numbers)
    default: break
    }
    plan.augmentation = .random(&numbers, image: plan.encoder.imageSide, channels: channels)
    plan.addLocalViews(&numbers)
    let least = (1...plan.stages).map { plan.mostRounds(stage: $0) }.min() ?? 1
    plan.local.warmup =
      .random(using: &numbers) ? 0 : 0.99 * numbers.float(upTo: Float(min(least, PlanLimits.rounds)))
    return plan
  }

  /// Adds local views, if the plan can have them.
  private mutating func addLocalViews(_ numbers: inout RandomNumbers) {
    guard let shape = encoder.value as? ViTConfiguration, shape.images.side > shape.patch, local.views == 0,
      [.simclr, .mocov3, .byol, .vicreg, .barlow].contains(method.objective), .random(using: &numbers)
    else { return }
    augmentation.crops = LocalCrops(
      count: numbers.int(1...PlanLimits.localViews),
      size: shape.patch * numbers.int(1...shape.images.side / shape.patch - 1), area: numbers.range(upTo: 1))
  }

  /// Adds the section of the objective, if it has one. A masked autoencoder has at least two patches.
  private mutating func fitObjective(_ numbers: inout RandomNumbers) {
    if method.objective == .masked {
      method.alignment = 0
      if encoder.vit.patches < 2 { encoder.imageSide *= 2 }
    }
    guard .random(using: &numbers) else { return }
    if method.objective == .vicreg {
      method.vicreg = VICRegConfiguration(
        similarity: numbers.float(upTo: 1000), variance: numbers.float(upTo: 1000),
        covariance: numbers.float(upTo: 1000))
    }
    if method.objective == .barlow {
      method.barlow = BarlowConfiguration(offDiagonal: numbers.float(upTo: 1000))
    }
    if method.objective == .masked {
      let heads = numbers.int(1...8)
      method.masked = MaskedConfiguration.Settings(
        ratio: 0.01 + 0.9 * numbers.float(upTo: 1), width: heads * numbers.int(1...64),
        blocks: numbers.int(1...8), heads: heads)
    }
  }
}

extension Plan {
  /// Returns the plan with a graph convolutional network instead of the transformer.
  private func asGraphConvolution(_ numbers: inout RandomNumbers) -> Plan {
    var plan = self
    var encoder = GraphConvolutionConfiguration(
      features: numbers.int(1...5000), width: numbers.int(1...512), depth: self.encoder.depth)
    encoder.propagation = Propagation.allCases.randomElement(using: &numbers)!
    plan.encoder = EncoderConfiguration(encoder)
    (plan.method.initialisation, plan.method.objective, plan.method.alignment) = (.random, .classification, 0)
    (plan.method.vicreg, plan.method.barlow, plan.method.masked) = (nil, nil, nil)
    (plan.method.activeBlocks, plan.local.views) = (0, 0)
    plan.method.classification = Classification(
      classes: .count(numbers.int(2...1000)), smoothing: numbers.float(upTo: 0.9))
    (plan.method.calibration, plan.method.cascade) = (nil, nil)
    plan.method.regularisers = RegulariserSections()
    return plan
  }

  /// Returns a plan of exact steps with the other sections of this one, as far as they fit.
  private func asRegression(_ numbers: inout RandomNumbers) -> Plan {
    var network = DeepLinearConfiguration(
      features: numbers.int(1...PlanLimits.linearFeatures), width: numbers.int(1...512), depth: encoder.depth)
    network.outputs = numbers.int(1...512)
    network.start = DeepLinearStart.allCases.randomElement(using: &numbers)!
    var plan = self
    plan.encoder = EncoderConfiguration(network)
    plan.method = Method(
      laps: numbers.int(1...PlanLimits.laps), roundsPerStage: .each(numbers.int(1...PlanLimits.rounds)),
      initialisation: .random, objective: .regression, momentum: method.momentum,
      temperature: method.temperature, alignment: 0)
    if Bool.random(using: &numbers) {
      plan.method.regression = Regression(
        order: SweepOrder.allCases.randomElement(using: &numbers)!,
        statistics: Regression.Statistics.allCases.randomElement(using: &numbers)!)
    }
    (plan.local.proximal, plan.local.views) = (0, 0)
    (plan.round.normLimit, plan.round.stragglers, plan.round.maxSamples) = (0, .reject, nil)
    (plan.round.aggregation, plan.round.trim) = (.mean, 0)
    plan.traffic.codec = .plain
    plan.traffic.layers = .random(using: &numbers) ? .plain : .float32
    return plan
  }

  /// Returns the plan with a graph attention network instead of the transformer.
  private func asGraphAttention(_ numbers: inout RandomNumbers) -> Plan {
    var plan = asGraphConvolution(&numbers)
    let heads = numbers.int(1...8)
    var encoder = GraphAttentionConfiguration(
      features: numbers.int(1...5000), width: heads * numbers.int(1...64), depth: self.encoder.depth)
    (encoder.heads, encoder.skip) = (heads, .random(using: &numbers))
    plan.encoder = EncoderConfiguration(encoder)
    (plan.method.objective, plan.method.classification) = (.infomax, nil)
    if Bool.random(using: &numbers) {
      plan.method.infomax = GraphInfomaxConfiguration(
        prediction: numbers.float(upTo: 1000), variance: numbers.float(upTo: 1000),
        covariance: numbers.float(upTo: 1000), hops: numbers.int(1...PlanLimits.hops))
    }
    plan.local.batch = numbers.int(2...1000)
    plan.local.neighbours =
      .random(using: &numbers) ? nil : (0..<numbers.int(1...3)).map { _ in numbers.int(1...20) }
    return plan
  }

  /// Replaces the transformer by a ResNet.
  private mutating func becomeResNet(_ numbers: inout RandomNumbers, layers: Int) {
    let stages = numbers.int(1...(4 / layers))
    encoder = EncoderConfiguration(
      ResNetConfiguration(
        images: ImageInput(side: 8 * numbers.int(1...32), channels: encoder.imageChannels),
        width: numbers.int(1...64), depth: layers * stages))
    (method.initialisation, method.activeBlocks) = (.random, 0)
    if method.objective == .masked { (method.objective, method.masked) = (.simclr, nil) }
    if case .list = method.roundsPerStage {
      method.roundsPerStage = .list((0..<stages).map { _ in numbers.int(1...9) })
    }
  }
}

extension Plan.StageEnd {
  static func random(_ numbers: inout RandomNumbers) -> Self {
    let kind = CurriculumKind.allCases.randomElement(using: &numbers)!
    return Self(
      kind, window: numbers.int(1...PlanLimits.window), improvement: numbers.float(upTo: 1),
      minimum: numbers.int(1...PlanLimits.rounds),
      model: kind == .controller ? "." + numbers.text(upTo: 20) : nil)
  }
}

extension AugmentationSettings {
  static func random(_ numbers: inout RandomNumbers, image: Int, channels: Int) -> Self {
    var settings = Self()
    settings.cropArea = numbers.range(upTo: 1)
    settings.cropRatio = numbers.range(upTo: 10)
    settings.padding = numbers.int(0...image / 2)
    settings.flip = numbers.float(upTo: 1)
    settings.jitter = numbers.float(upTo: 1)
    settings.brightness = numbers.float(upTo: 2)
    settings.contrast = numbers.float(upTo: 2)
    settings.saturation = numbers.float(upTo: 2)
    settings.hue = numbers.float(upTo: 0.5)
    settings.grayscale = numbers.float(upTo: 1)
    settings.blur = [numbers.float(upTo: 1), numbers.float(upTo: 1)]
    settings.blurKernel = .random(using: &numbers) ? 2 * numbers.int(0...image - 1) + 1 : nil
    settings.blurSigma = numbers.range(upTo: 32)
    settings.solarize = [numbers.float(upTo: 1), numbers.float(upTo: 1)]
    settings.solarizeThreshold = numbers.float(upTo: 1)
    settings.mean = (0..<channels).map { _ in numbers.float(upTo: 1000) - 500 }
    settings.deviation = (0..<channels).map { _ in numbers.float(upTo: 1000) }
    return settings
  }
}

extension RegulariserSections {
  /// Adds the section of each regulariser with its default settings.
  mutating func addAll() { for type in Self.all { add(type) } }

  private mutating func add<Settings: RegulariserSettings>(_ type: Settings.Type) { self[type] = type.init() }
}
