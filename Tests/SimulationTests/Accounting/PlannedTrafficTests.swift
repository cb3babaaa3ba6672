import Engine
import Federation
import Simulation
import Testing

/// The bytes of weights, compared with explicit sums.
@Suite struct PlannedTrafficTests {
  private static func plan(
    _ strategy: Strategy, layers: Int = 1, rounds: Plan.Method.Rounds = .list([2, 1, 4]),
    calibration: Plan.Calibration.Interval? = nil
  ) -> Plan {
    Plan(
      encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 3 * layers, heads: 3),
      heads: HeadConfiguration(hidden: 32, output: 16),
      method: Plan.Method(
        strategy: strategy, layersPerStage: layers, roundsPerStage: rounds, objective: .mocov3,
        calibration: calibration.map { Plan.Calibration(data: "shapes:16", every: $0) }))
  }

  private static func bytes(_ stage: Stage, _ names: String...) -> Int {
    stage.model.parts.filter { part in names.contains { part.name.hasPrefix($0) } }
      .reduce(0) { $0 + 4 * $1.range.count }
  }

  private static func trained(_ plan: Plan) -> [Int] {
    (1...plan.stages).map { plan.stage($0).parts.reduce(0) { $0 + 4 * $1.range.count } }
  }

  private static func everything(_ plan: Plan) -> [Int] {
    (1...plan.stages).map { 4 * plan.stage($0).model.layout.count }
  }

  @Test(arguments: Strategy.allCases, [1, 2]) func aClientUploadsWhatTrains(strategy: Strategy, layers: Int) {
    let plan = Self.plan(strategy, layers: layers)
    let calculated = zip(Self.trained(plan), 1...).reduce(0) { $0 + $1.0 * plan.mostRounds(stage: $1.1) }
    #expect(PlannedTraffic(plan).bytesUp == calculated)
    var calibrated = plan
    calibrated.method.calibration = Plan.Calibration(data: "shapes:16")
    #expect(PlannedTraffic(calibrated).bytesUp == calculated)
  }

  /// Everything once, and then the parts trained in the previous round; a stage's new layers are copies of these.
  @Test(arguments: [1, 2]) func layerWiseDownloadsWhatTheRoundBeforeTrained(layers: Int) {
    var plan = Self.plan(.layerWise, layers: layers)
    let trained = Self.trained(plan)
    let calculated = Self.everything(plan)[0] + trained[0] * 2 + trained[1] + trained[2] * 3
    #expect(PlannedTraffic(plan).bytesDown == calculated)
    // With random initialisation they are separate layers.
    plan.method.initialisation = .random
    let block = Self.bytes(plan.stage(1), "blocks.0")
    #expect(PlannedTraffic(plan).bytesDown == calculated + 2 * layers * block)
    // The same holds if they come from a file.
    (plan.method.initialisation, plan.initial) = (.transfer, "encoder.safetensors")
    #expect(PlannedTraffic(plan).bytesDown == calculated + 2 * layers * block)
  }

  @Test func otherStrategiesDownloadEverythingEveryRound() {
    let endToEnd = Self.plan(.endToEnd)
    #expect(PlannedTraffic(endToEnd).bytesDown == 7 * Self.everything(endToEnd)[0])
    var progressive = Self.plan(.progressive)
    progressive.method.initialisation = .random
    let sizes = Self.everything(progressive)
    #expect(PlannedTraffic(progressive).bytesDown == 2 * sizes[0] + sizes[1] + 4 * sizes[2])
    #expect(PlannedTraffic(progressive).bytesUp == PlannedTraffic(progressive).bytesDown)
  }

  /// A calibration changes every layer; a new layer is a copy nevertheless.
  @Test func calibrationChangesEverything() {
    let always = Self.plan(.layerWise, calibration: .round)
    let (sizes, block) = (Self.everything(always), Self.bytes(always.stage(1), "blocks.0"))
    let all = 2 * sizes[0] + sizes[1] + 4 * sizes[2]
    #expect(PlannedTraffic(always).bytesDown == all - 2 * block)
    // After a stage's last round: the next stage's first round downloads everything.
    let trained = Self.trained(always)
    #expect(
      PlannedTraffic(Self.plan(.layerWise, calibration: .stage)).bytesDown
        == sizes[0] + trained[0] + sizes[1] + sizes[2] - 2 * block + 3 * trained[2])
    // After the second round of a stage, which is the first stage's last.
    #expect(
      PlannedTraffic(Self.plan(.layerWise, calibration: .rounds(2))).bytesDown
        == sizes[0] + trained[0] + (sizes[1] - block) + trained[1] + trained[2] + sizes[2] + trained[2])
  }

  /// The temporary linear layer of an incomplete ResNet differs in each stage.
  @Test func aResNetsAdapters() {
    let plan = Plan(
      encoder: EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 8), width: 4, depth: 4)),
      heads: HeadConfiguration(hidden: 8, output: 4),
      method: Plan.Method(roundsPerStage: .each(1), initialisation: .random))
    let stages = (1...4).map { plan.stage($0) }
    let below = stages[1...].map { stage in
      Self.bytes(stage, "blocks.\(stage.index - 2)") + (stage.index == 2 ? Self.bytes(stage, "stem") : 0)
    }
    let new = stages[1...].map { Self.bytes($0, "blocks.\($0.index - 1)", "adapter", "projector") }
    let calculated = Self.everything(plan)[0] + (below + new).reduce(0, +)
    #expect(PlannedTraffic(plan).bytesDown == calculated)
  }

  /// Frozen layers that a round omits are kept for a later one; with layer-wise training they cost nothing.
  @Test func depthDropoutSendsFewerLayers() {
    var plan = Plan(
      encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 6, heads: 3),
      method: Plan.Method(strategy: .progressive, roundsPerStage: .each(4)))
    let all = PlannedTraffic(plan)
    plan.method.activeBlocks = 2
    let block = Self.bytes(plan.stage(1), "blocks.0")
    #expect(PlannedTraffic(plan).bytesUp == all.bytesUp - 4 * (1 + 2 + 3 + 4) * block)
    #expect(PlannedTraffic(plan).bytesDown < all.bytesDown)
    plan.method.strategy = .layerWise
    let dropped = PlannedTraffic(plan).bytesDown
    plan.method.activeBlocks = 0
    #expect(PlannedTraffic(plan).bytesDown == dropped)
  }
}
