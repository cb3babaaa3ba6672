import Datasets
import Engine
import Federation
import Foundation
import Support
import Testing

@Suite struct LintTests {
  /// A plan and facts about data in which no rule finds anything.
  private static let plan: Plan = {
    var plan = Plan(encoder: EncoderConfiguration(image: 32, patch: 4, width: 96, depth: 4, heads: 3))
    (plan.local.batch, plan.local.learningRate) = (128, 1e-3)
    return plan
  }()
  private static let data = LintData(
    "shapes:4000", sizes: [1000, 900, 1100, 1000], classes: [9, 10, 10, 10])

  /// Changes that make a rule find something, and others close to them that do not.
  private struct Case: Sendable {
    let rule: String
    let fires: @Sendable (inout Plan, inout LintData) -> Void
    let rests: @Sendable (inout Plan, inout LintData) -> Void
  }

  private static func classify(_ plan: inout Plan) {
    plan.method.objective = .classification
    plan.method.classification = .init(classes: .count(10))
  }

  private static func sized(_ sizes: [Int], classes: [Int]? = nil, warnings: [String] = []) -> LintData {
    LintData("shapes:4000", sizes: sizes, classes: classes, labelWarnings: warnings)
  }

  private static let cases: [Case] = [
    Case(rule: "few tokens") { plan, _ in
      plan.encoder = EncoderConfiguration(image: 32, patch: 32, width: 96, depth: 4, heads: 3)
    } rests: { plan, _ in
      plan.encoder = EncoderConfiguration(image: 32, patch: 16, width: 96, depth: 4, heads: 3)
    },
    Case(rule: "many tokens") { plan, _ in
      plan.encoder = EncoderConfiguration(image: 224, patch: 4, width: 96, depth: 4, heads: 3)
      plan.round.deadline = .hours(100)
    } rests: { plan, _ in
      plan.encoder = EncoderConfiguration(image: 224, patch: 8, width: 96, depth: 4, heads: 3)
      plan.round.deadline = .hours(100)
    },
    Case(rule: "narrow projection") { plan, _ in
      plan.heads.output = 4
    } rests: { plan, _ in
      plan.heads.output = 8
    },
    Case(rule: "temperature") { plan, _ in
      plan.method.temperature = 1e-30
    } rests: { plan, _ in
      plan.method.temperature = 0.01
    },
    Case(rule: "target momentum") { plan, _ in
      (plan.method.objective, plan.method.momentum) = (.byol, 0)
    } rests: { plan, _ in
      plan.method.momentum = 0
    },
    Case(rule: "alignment") { plan, _ in
      plan.method.alignment = 50
    } rests: { plan, _ in
      plan.method.alignment = 1
    },
    Case(rule: "one round") { plan, _ in
      plan.method.roundsPerStage = .list([5, 1, 5, 5])
    } rests: { plan, _ in
      plan.method.roundsPerStage = .each(2)
    },
    Case(rule: "single stage") { plan, _ in
      plan.method.layersPerStage = 4
    } rests: { plan, _ in
      plan.method.layersPerStage = 2
    },
    Case(rule: "plateau window") { plan, _ in
      plan.method.stageEnd = .init(.plateau, window: 8)
    } rests: { plan, _ in
      plan.method.stageEnd = .init(.plateau, window: 7)
    },
    Case(rule: "plateau minimum") { plan, _ in
      plan.method.stageEnd = .init(.plateau, minimum: 15)
    } rests: { plan, _ in
      plan.method.stageEnd = .init(.plateau, minimum: 14)
    },
    Case(rule: "calibration epochs") { plan, _ in
      plan.method.calibration = .init(data: "shapes:64", epochs: 50)
    } rests: { plan, _ in
      plan.method.calibration = .init(data: "shapes:64", epochs: 50, every: .stage)
    },
    Case(rule: "cascade confidence") { plan, _ in
      classify(&plan)
      plan.method.cascade = .init(confidence: 0.1)
    } rests: { plan, _ in
      classify(&plan)
      plan.method.cascade = .init(confidence: 0.5)
    },
    Case(rule: "label smoothing") { plan, _ in
      classify(&plan)
      plan.method.classification?.smoothing = 0.9
    } rests: { plan, _ in
      classify(&plan)
      plan.method.classification?.smoothing = 0.1
    },
    Case(rule: "large rate") { plan, _ in
      plan.local.learningRate = 10
    } rests: { plan, _ in
      plan.local.learningRate = 0.01
    },
    Case(rule: "small rate") { plan, _ in
      plan.local.learningRate = 1e-9
    } rests: { plan, _ in
      plan.local.learningRate = 1e-6
    },
    Case(rule: "rate of gradient descent") { plan, _ in
      plan.local.optimizer = .sgd
    } rests: { plan, _ in
      (plan.local.optimizer, plan.local.learningRate) = (.sgd, 0.1)
    },
    Case(rule: "momentum") { plan, _ in
      (plan.local.optimizer, plan.local.learningRate, plan.local.momentum) = (.lars, 1, 0.995)
    } rests: { plan, _ in
      (plan.local.optimizer, plan.local.learningRate, plan.local.momentum) = (.lars, 1, 0.9)
    },
    Case(rule: "long warm-up") { plan, _ in
      (plan.method.roundsPerStage, plan.local.warmup) = (.each(10), 6)
    } rests: { plan, _ in
      (plan.method.roundsPerStage, plan.local.warmup) = (.each(10), 5)
    },
    Case(rule: "statistics of a batch") { plan, _ in
      (plan.method.objective, plan.local.batch) = (.vicreg, 16)
    } rests: { plan, _ in
      (plan.method.objective, plan.local.batch) = (.vicreg, 32)
    },
    Case(rule: "weight decay") { plan, _ in
      (plan.local.learningRate, plan.local.weightDecay) = (0.01, 1)
    } rests: { plan, _ in
      (plan.local.learningRate, plan.local.weightDecay) = (0.001, 0.1)
    },
    Case(rule: "batch of a contrastive loss") { plan, _ in
      plan.local.batch = 2
    } rests: { plan, _ in
      (plan.method.objective, plan.local.batch) = (.byol, 4)
    },
    Case(rule: "few negatives") { plan, _ in
      plan.local.batch = 16
    } rests: { plan, _ in
      plan.local.batch = 32
    },
    Case(rule: "proximal") { plan, _ in
      plan.local.proximal = 100
    } rests: { plan, _ in
      plan.local.proximal = 1
    },
    Case(rule: "memory") { plan, _ in
      plan.local.memory = ByteCount("20MB")
    } rests: { plan, _ in
      plan.local.memory = ByteCount("128MB")
    },
    Case(rule: "quorum") { plan, data in
      (plan.round.cohort, plan.round.quorum) = (40, 1)
      data = sized([Int](repeating: 500, count: 40))
    } rests: { plan, _ in
      (plan.round.cohort, plan.round.quorum) = (4, 1)
    },
    Case(rule: "robust aggregation") { plan, _ in
      (plan.round.aggregation, plan.round.quorum) = (.median, 2)
    } rests: { plan, _ in
      (plan.round.aggregation, plan.round.quorum) = (.median, 3)
    },
    Case(rule: "over-selection") { plan, _ in
      plan.round.overSelection = 9
    } rests: { plan, _ in
      plan.round.overSelection = 2
    },
    Case(rule: "norm limit") { plan, _ in
      plan.round.normLimit = 1e-5
    } rests: { plan, _ in
      plan.round.normLimit = 0
    },
    Case(rule: "short deadline") { plan, _ in
      plan.round.deadline = TimeSpan(milliseconds: 5)
    } rests: { plan, _ in
      plan.round.deadline = .minutes(10)
    },
    Case(rule: "kept values") { plan, _ in
      (plan.traffic.codec, plan.traffic.kept) = (.topK, 1e-5)
    } rests: { plan, _ in
      (plan.traffic.codec, plan.traffic.kept) = (.int8, 1e-5)
    },
    Case(rule: "no augmentation") { plan, _ in
      (plan.augmentation.cropArea, plan.augmentation.jitter) = (1...1, 0)
      (plan.augmentation.grayscale, plan.augmentation.blur) = (0, [0, 0])
    } rests: { plan, _ in
      classify(&plan)
      (plan.augmentation.cropArea, plan.augmentation.jitter) = (1...1, 0)
      (plan.augmentation.grayscale, plan.augmentation.blur) = (0, [0, 0])
    },
    Case(rule: "colours of grey images") { plan, _ in
      plan.encoder = EncoderConfiguration(image: 32, channels: 1, patch: 4, width: 96, depth: 4, heads: 3)
    } rests: { plan, _ in
      plan.encoder = EncoderConfiguration(image: 32, channels: 1, patch: 4, width: 96, depth: 4, heads: 3)
      (plan.augmentation.saturation, plan.augmentation.hue, plan.augmentation.grayscale) = (0, 0, 0)
    },
    Case(rule: "tiny crops") { plan, _ in
      plan.augmentation.cropArea = 0.001...0.01
    } rests: { plan, _ in
      plan.augmentation.cropArea = 0.08...1
    },
    Case(rule: "blur beyond the image") { plan, _ in
      plan.augmentation.blurKernel = 61
    } rests: { plan, _ in
      plan.augmentation.blurKernel = 31
    },
    Case(rule: "blur without detail") { plan, _ in
      plan.augmentation.blurSigma = 0.1...20
    } rests: { plan, _ in
      plan.augmentation.blurSigma = 0.1...8
    },
    Case(rule: "scale of values") { plan, _ in
      plan.augmentation.deviation = [0.25, 1e-3, 0.25]
    } rests: { plan, _ in
      plan.augmentation.deviation = [0.25, 0.1, 0.25]
    },
    Case(rule: "labels") { _, data in
      data = sized([900, 900, 900, 900], warnings: ["odd", "odder"])
    } rests: { _, _ in
    },
    Case(rule: "batch of the smallest client") { _, data in
      data = sized([900, 100, 900, 900])
    } rests: { _, data in
      data = sized([900, 128, 900, 900])
    },
    Case(rule: "cohort of all clients") { _, data in
      data = sized([900, 900, 900])
    } rests: { _, data in
      data = sized([900, 900, 900, 900, 900])
    },
    Case(rule: "almost empty clients") { plan, data in
      (plan.method.objective, plan.local.batch) = (.byol, 2)
      data = sized([900, 2, 900, 900])
    } rests: { plan, data in
      (plan.method.objective, plan.local.batch) = (.byol, 2)
      data = sized([900, 8, 900, 900])
    },
    Case(rule: "one class a client") { plan, data in
      classify(&plan)
      data = sized([900, 900, 900, 900], classes: [2, 1, 2, 1])
    } rests: { plan, data in
      classify(&plan)
      data = sized([900, 900, 900, 900], classes: [2, 2, 2, 2])
    },
    Case(rule: "calibration on the clients' data") { plan, _ in
      plan.method.calibration = .init(data: "shapes:4000")
    } rests: { plan, _ in
      plan.method.calibration = .init(data: "shapes:400?seed=9")
    },
    Case(rule: "deadline of a training") { plan, data in
      plan.round.deadline = .seconds(2)
      data = sized([1_000_000, 900, 900, 900])
    } rests: { plan, _ in
      plan.round.deadline = .minutes(10)
    },
  ]

  @Test func everyRuleHasACase() {
    #expect(Self.cases.map(\.rule) == LintRule.all.map(\.name))
    #expect(LintRule.all.count >= 20)
  }

  @Test(arguments: cases.indices) func aRuleFindsWhatItShould(index: Int) {
    let one = Self.cases[index]
    var (plan, data) = (Self.plan, Self.data)
    one.fires(&plan, &data)
    let findings = Lint.findings(plan, data)
    let own = findings.filter { $0.rule == one.rule }
    #expect(!own.isEmpty, "\(one.rule) finds nothing; \(findings.map(\.line))")
    for finding in own {
      #expect(!finding.value.isEmpty && !finding.reason.isEmpty && !finding.line.contains("\n"))
      #expect(finding.line.hasPrefix("\(finding.field): \(finding.value): "))
      #expect(
        finding.field == "data" || PlanField.all.contains { $0.path == finding.field }, "\(finding.field)")
    }
    (plan, data) = (Self.plan, Self.data)
    one.rests(&plan, &data)
    #expect(!Lint.findings(plan, data).contains { $0.rule == one.rule }, "\(one.rule)")
  }

  @Test func aUsualPlanHasNoFindings() {
    #expect(Lint.findings(Self.plan, Self.data) == [])
    // Without data, nothing is said of it.
    #expect(Lint.findings(Self.plan) == [])
  }

  @Test func plansInDeployAreClean() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "deploy/plans")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "yaml" }
    #expect(files.count >= 4)
    for file in files {
      let plan = try Plan(yaml: String(contentsOf: file, encoding: .utf8), file: file.lastPathComponent)
      #expect(Lint.findings(plan).map(\.line) == [], "\(file.lastPathComponent)")
    }
  }
}
