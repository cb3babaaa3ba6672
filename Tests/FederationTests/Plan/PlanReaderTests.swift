import Datasets
import Engine
import Federation
import Support
import Testing

/// Returns the plan of a text, or its error.
func reading(_ text: String) -> Result<Plan, PlanError> {
  do throws(PlanError) {
    return .success(try Plan(yaml: text, file: "plan.yaml"))
  } catch {
    return .failure(error)
  }
}

/// Returns the lines of a text's error; empty if it is valid.
func complaints(_ text: String) -> [String] {
  switch reading(text) {
  case .success: []
  case .failure(let error): error.description.split(separator: "\n").map(String.init)
  }
}

/// Returns the smallest plan, with one optional further line.
func plan(with line: String = "") -> String {
  "encoder: {image: 32, patch: 4, width: 96, depth: 4, heads: 3}\n" + line
}

@Suite struct PlanReaderTests {
  @Test func takesTheDefaultsOfWhatIsLeftOut() throws {
    let plan = try reading(plan()).get()
    #expect(plan.name == "strata")
    #expect(plan.seed == 1)
    #expect(plan.encoder == EncoderConfiguration(image: 32, patch: 4, width: 96, depth: 4, heads: 3))
    #expect(plan.heads == HeadConfiguration(hidden: 512, output: 256, bias: false))
    #expect(
      plan.method
        == Plan.Method(
          strategy: .layerWise, layersPerStage: 1, roundsPerStage: .each(15), initialisation: .transfer,
          objective: .simclr, temperature: 0.05, alignment: 0.01, calibration: nil))
    #expect(
      plan.local
        == Plan.LocalTraining(
          epochs: 3, batch: 256, learningRate: 1.5e-4, weightDecay: 1e-5, schedule: .constant, proximal: 0))
    #expect(
      plan.round
        == Plan.RoundRules(cohort: 4, quorum: 3, minimumClients: 4, attempts: 3, deadline: .seconds(600)))
    #expect(plan.augmentation == AugmentationSettings())
  }

  @Test func readsEveryField() throws {
    let text = """
      name: cifar-layer-wise
      seed: 18446744073709551615
      encoder: {family: vit, image: 30, channels: 1, patch: 5, width: 96, depth: 4, heads: 3, mlpRatio: 2}
      heads: {hidden: 64, output: 32, bias: true}
      method:
        strategy: progressive   # a remark
        layersPerStage: 2
        roundsPerStage: [3, 4]
        initialisation: random
        objective: simclr
        temperature: 0.2
        alignment: 0
        calibration: {data: "shapes:512", epochs: 2, every: stage}
      local:
        {epochs: 1, batch: 64, learningRate: 1e-3, weightDecay: 0.05, schedule: cosine, proximal: 0.5}
      round: {cohort: 5, minimumClients: 9, attempts: 1, deadline: 250ms}
      augmentation:
        cropArea: [0.5, 0.75]
        padding: 4
        blur: [1, 0]
        blurKernel: 5
        mean: [0.25]
        flip: 0
      """
    let plan = try reading(text).get()
    #expect(plan.name == "cifar-layer-wise")
    #expect(plan.seed == .max)
    #expect(
      plan.encoder
        == EncoderConfiguration(
          image: 30, channels: 1, patch: 5, width: 96, depth: 4, heads: 3, mlpRatio: 2))
    #expect(plan.heads == HeadConfiguration(hidden: 64, output: 32, bias: true))
    #expect(
      plan.method
        == Plan.Method(
          strategy: .progressive, layersPerStage: 2, roundsPerStage: .list([3, 4]), initialisation: .random,
          temperature: 0.2, alignment: 0,
          calibration: Plan.Calibration(data: "shapes:512", epochs: 2, every: .stage)))
    #expect(
      plan.local
        == Plan.LocalTraining(
          epochs: 1, batch: 64, learningRate: 1e-3, weightDecay: 0.05, schedule: .cosine, proximal: 0.5))
    #expect(
      plan.round
        == Plan.RoundRules(
          cohort: 5, quorum: 4, minimumClients: 9, attempts: 1, deadline: TimeSpan(milliseconds: 250)))
    var augmentation = AugmentationSettings()
    augmentation.cropArea = 0.5...0.75
    augmentation.padding = 4
    augmentation.blur = [1, 0]
    augmentation.blurKernel = 5
    augmentation.mean = [0.25]
    augmentation.flip = 0
    #expect(plan.augmentation == augmentation)
  }

  @Test func aWaitFollowsTheDeadlineAndAClaimMayBeBounded() throws {
    func round(_ text: String) throws -> Plan.RoundRules {
      try reading(plan(with: "round: {\(text)}")).get().round
    }
    #expect(try round("deadline: 4s").wait == .seconds(4) && round("deadline: 4h").wait == .seconds(10))
    #expect(try round("deadline: 4h, wait: 2h").wait == .seconds(7200))
    #expect(try round("cohort: 2").maxSamples == nil && round("maxSamples: auto").maxSamples == nil)
    #expect(try round("maxSamples: 500").maxSamples == 500)
    #expect(
      complaints(plan(with: "round: {deadline: 60s, wait: 61s}")) == [
        "plan.yaml:2: round.wait: is 61s, more than the deadline of 1m"
      ])
    for text in ["0", "-1", "100000001", "1.5", "none"] {
      #expect(complaints(plan(with: "round: {maxSamples: \(text)}")).count == 1, "\(text)")
    }
  }

  @Test func listsEveryProblemByLine() {
    let text = """
      nmae: x
      encoder: {image: 32, patch: 5, width: 100, depth: 4, heads: 3}
      method:
        strategy: layerwise
        objective: moco
        temperature: 0
      local: {batch: 1}
      round:
        quorum: 5
        deadline: 600
      temperature: 0.1
      """
    #expect(
      complaints(text) == [
        "plan.yaml:1: nmae: is not a field of a plan; did you mean name?",
        "plan.yaml:2: encoder.patch: is 5, which does not divide the image's 32 pixels",
        "plan.yaml:2: encoder.width: is 100, which is not a multiple of 3 heads",
        "plan.yaml:4: method.strategy: is 'layerwise'; "
          + "this version knows layer-wise, progressive, end-to-end, head-only",
        "plan.yaml:5: method.objective: is 'moco'; this version knows simclr, mocov3, byol, vicreg, barlow, masked, classification, "
          + "infomax, regression",
        "plan.yaml:6: method.temperature: is '0'; must be: number above 0, up to 100",
        "plan.yaml:7: local.batch: is '1'; must be: integer 2 … 65536",
        "plan.yaml:9: round.quorum: is 5, more than the cohort of 4",
        "plan.yaml:10: round.deadline: has no unit; write 600s for seconds, or use ms, m or h",
        "plan.yaml:11: temperature: is not a field of a plan; did you mean method.temperature?",
      ])
  }

  @Test func wantsAnEncoder() {
    #expect(complaints("name: x").count == 5)
    #expect(
      complaints("seed: 1\nencoder: {image: 32, patch: 4, widht: 96, depth: 4}") == [
        "plan.yaml:2: encoder.heads: is missing; it has no default and must be: integer 1 … 256",
        "plan.yaml:2: encoder.widht: is not a field of a plan; did you mean encoder.width?",
      ])
    #expect(
      complaints("encoder: vit") == [
        "plan.yaml:1: encoder: is 'vit'; must be a mapping of fields to values"
      ])
    #expect(
      complaints("encoder:") == ["plan.yaml:1: encoder: is empty; must be a mapping of fields to values"])
  }
}
