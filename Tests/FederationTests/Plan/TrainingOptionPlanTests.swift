import Engine
import Federation
import Testing

/// Plans with other optimisers, a warm-up, and objectives without negative pairs.
@Suite struct TrainingOptionPlanTests {
  private static let encoder = "encoder: {image: 32, patch: 4, width: 96, depth: 4, heads: 3}"

  private static func plan(_ more: String) throws -> Plan {
    try Plan(yaml: encoder + "\n" + more, file: "plan")
  }

  @Test func theDefaultsAreThoseOfThePaper() throws {
    let plan = try Self.plan("")
    let options = plan.trainingOptions(.whole, stage: 1, images: 500)
    #expect(options.optimiser == .adamw && options.schedule.warmUp == 0)
    #expect(plan.method.vicreg == nil && plan.method.barlow == nil)
    #expect(plan.local.momentum == 0.9 && plan.local.trustCoefficient == 0.001)
  }

  @Test func theOptimiserIsThePlans() throws {
    let plan = try Self.plan(
      "method: {roundsPerStage: 5}\nlocal: {optimizer: lars, momentum: 0.8, trustCoefficient: 0.02, warmup: 2.5}"
    )
    let options = plan.trainingOptions(
      plan.curriculum.place(of: RoundKey(stage: 2, round: 3)), stage: 2, images: 500)
    #expect(options.optimiser == .lars && options.gradientMomentum == 0.8)
    #expect(options.trustCoefficient == 0.02 && options.schedule.warmUp == 2.5)
    // Half of the third round is the end of the warm-up.
    let rates = (0..<4).map { options.schedule.rate(step: $0, of: 4) / options.schedule.rate }
    #expect(zip(rates, [0.9, 1, 1, 1]).allSatisfy { abs($0 - $1) < 1e-6 }, "\(rates)")
    #expect(try Plan(yaml: plan.yaml(), file: "written") == plan)
  }

  @Test func theTermsAreThePlans() throws {
    let vicreg = try Self.plan("method: {objective: vicreg, vicreg: {covariance: 4}}")
    let objective = try #require(vicreg.stage(1).model.objective as? VICRegObjective)
    #expect(objective.configuration == VICRegConfiguration(covariance: 4))
    let barlow = try Self.plan("method: {objective: barlow, barlow: {offDiagonal: 0.1}}")
    let twins = try #require(barlow.stage(1).model.objective as? BarlowObjective)
    #expect(twins.configuration.offDiagonal == 0.1)
    for plan in [vicreg, barlow] { #expect(try Plan(yaml: plan.yaml(), file: "written") == plan) }
  }

  @Test(arguments: [
    ("local: {optimizer: adam}", "local.optimizer: is 'adam'; this version knows adamw, sgd, lars"),
    ("local: {momentum: 1}", "local.momentum: is '1'; must be: number 0"),
    ("local: {trustCoefficient: 0}", "local.trustCoefficient: is '0'; must be: number above 0"),
    ("local: {warmup: -1}", "local.warmup: is '-1'; must be: number 0"),
    ("local: {warmup: 15}", "local.warmup: is 15; must be less than the rounds of each stage"),
    (
      "method: {roundsPerStage: [9, 2, 9, 9]}\nlocal: {warmup: 2}",
      "local.warmup: is 2; must be less than the rounds of each stage, of which there are as few as 2"
    ),
    ("method: {vicreg: {variance: 1}}", "method.vicreg.similarity: is only for the objective vicreg"),
    (
      "method: {objective: vicreg, vicreg: {similarity: 0, variance: 0, covariance: 0}}",
      "method.vicreg.similarity: is 0, as are variance and covariance"
    ),
    ("method: {objective: vicreg, vicreg: {covariance: -1}}", "method.vicreg.covariance: is '-1'"),
    (
      "method: {barlow: {}}",
      "method.barlow.offDiagonal: is only for the objective barlow; this plan has simclr"
    ),
    ("method: {objective: barlow, barlow: {offDiagonal: 2000}}", "method.barlow.offDiagonal: is '2000'"),
  ])
  func rejectsWhatDoesNotFit(section: String, complaint: String) {
    let lines = complaints("\(Self.encoder)\n\(section)")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  @Test func theMaskIsThePlans() throws {
    let plan = try Self.plan(
      "method: {objective: masked, masked: {ratio: 0.5, width: 48, blocks: 2, heads: 3}}")
    let objective = try #require(plan.stage(2).model.objective as? MaskedObjective)
    #expect(objective.shownPatches == 32 && objective.views == 1 && objective.decoder.blocks.count == 2)
    #expect(plan.method.alignment == 0)
    // Each stage trains its block, the last normalisation and the decoder.
    #expect(plan.stage(3).parts.map(\.name) == ["blocks.2", "norm", "decoder"])
    #expect(try Plan(yaml: plan.yaml(), file: "written") == plan)
    let defaults = try Self.plan("method: {objective: masked}")
    #expect((defaults.stage(1).model.objective as? MaskedObjective)?.shownPatches == 16)
  }

  @Test func localViewsAreThePlans() throws {
    let plan = try Self.plan("augmentation: {crops: {count: 4, size: 16}}")
    #expect(
      plan.trainingOptions(.whole, stage: 1, images: 500).localViews == LocalViews(count: 4, size: 16))
    #expect(plan.augmentation.crops?.area == 0.05...0.2)
    #expect(try Plan(yaml: plan.yaml(), file: "written") == plan)
    #expect(try Self.plan("").trainingOptions(.whole, stage: 1, images: 500).localViews == nil)
  }

  @Test(arguments: [
    ("augmentation: {crops: {size: 16}}", "augmentation.crops.count: is missing"),
    ("augmentation: {crops: {count: 2}}", "augmentation.crops.size: is missing"),
    ("augmentation: {crops: {count: 0, size: 16}}", "augmentation.crops.count: is '0'; must be: integer 1"),
    ("augmentation: {crops: {count: 2, size: 32}}", "augmentation.crops.size: is 32; must be less than the"),
    (
      "augmentation: {crops: {count: 2, size: 18}}", "augmentation.crops.size: is 18, which is not a multiple"
    ),
    ("augmentation: {crops: {count: 2, size: 16, area: [0, 1]}}", "augmentation.crops.area: entry 1 is '0'"),
    (
      "augmentation: {crops: {count: 2, size: 16}}\nlocal: {views: 4}",
      "local.views: is 4; must be 0 with local views"
    ),
    (
      "augmentation: {crops: {count: 2, size: 16}}\nmethod: {objective: masked}",
      "augmentation.crops.count: is of local views, which simclr, mocov3, byol, vicreg, barlow compare"
    ),
  ])
  func rejectsLocalViewsThatDoNotFit(section: String, complaint: String) {
    let lines = complaints("\(Self.encoder)\n\(section)")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  /// Plans can have local views for exactly the objectives whose steps compare them.
  @Test(arguments: ObjectiveKind.allCases) func objectivesWithLocalViewsTakeThem(kind: ObjectiveKind) throws {
    let plan = try Self.plan("")
    let shape = try #require(plan.encoder.value as? ViTConfiguration)
    let settings = ObjectiveSettings(masked: MaskedConfiguration(MaskedConfiguration.Settings(), for: shape))
    let stage = Stage(.layerWise, index: 1, plan.encoder, objective: kind.configuration(settings))
    let section = kind == .classification ? ", classification: {classes: 10}" : ""
    let lines = complaints(
      """
      \(Self.encoder)
      method: {objective: \(kind.rawValue)\(section)}
      augmentation: {crops: {count: 2, size: 16}}
      """)
    #expect(lines.isEmpty == stage.model.objective.takesLocalViews, "\(lines)")
  }

  @Test func aResNetHasNoLocalViews() {
    let lines = complaints(
      "encoder: {family: resnet, image: 32, width: 8}\naugmentation: {crops: {count: 2, size: 16}}")
    #expect(
      lines.count == 1 && lines.first?.contains("is of local views, which a vit takes") == true, "\(lines)")
  }

  @Test(arguments: [
    ("method: {masked: {}}", "method.masked.ratio: is only for the objective masked; this plan has simclr"),
    ("method: {objective: masked, masked: {ratio: 1}}", "method.masked.ratio: is '1'; must be: number 0.01"),
    (
      "method: {objective: masked, masked: {width: 30}}",
      "method.masked.width: is 30, which is not a multiple of 4 heads"
    ),
    (
      "method: {objective: masked, masked: {width: 8192, blocks: 200}}",
      "method.masked.width: gives a decoder of 161061273600 parameters"
    ),
    ("method: {objective: masked, alignment: 0.1}", "method.alignment: is 0.1; must be 0 for masked"),
    ("method: {objective: masked}\nlocal: {views: 4}", "local.views: is 4; must be 0 for masked"),
    (
      "method: {objective: masked, bottleneck: {}}",
      "method.bottleneck.weight: is of a term on representations"
    ),
  ])
  func rejectsWhatAMaskDoesNotHave(section: String, complaint: String) {
    let lines = complaints("\(Self.encoder)\n\(section)")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  @Test(arguments: [
    ("family: resnet, image: 32, width: 8", "is masked, which is for the family vit"),
    ("image: 32, patch: 32, width: 96, depth: 4, heads: 3", "makes a single patch"),
    ("family: gat, features: 9, width: 16, depth: 2", "a gat is trained for infomax"),
    ("family: linear, features: 9, outputs: 2, width: 16, depth: 2", "is trained for regression"),
  ])
  func rejectsEncodersWithoutPatches(encoder: String, complaint: String) {
    let lines = complaints("encoder: {\(encoder)}\nmethod: {objective: masked}")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  /// End-to-end training has the rounds of all stages, which a longer warm-up fits into.
  @Test func aWarmUpIsWithinAStage() throws {
    let long = "local: {warmup: 40}"
    #expect(complaints("\(Self.encoder)\n\(long)").count == 1)
    #expect(try Self.plan("method: {strategy: end-to-end}\n\(long)").local.warmup == 40)
  }
}
