import Engine
import Testing

@Suite struct StageTests {
  private static let heads = HeadConfiguration(hidden: 20, output: 10)
  private static func encoder(depth: Int) -> EncoderConfiguration {
    EncoderConfiguration(image: 8, patch: 4, width: 12, depth: depth, heads: 3)
  }

  private static func parts(_ blocks: Range<Int>, stem: Bool) -> [String] {
    (stem ? ["stem"] : []) + blocks.map { "blocks.\($0)" } + ["norm", "projector"]
  }

  @Test(arguments: 1...4) func layerWiseTrainsItsOwnBlock(index: Int) {
    let stage = Stage(
      .layerWise, index: index, Self.encoder(depth: 4), objective: .contrastive(Self.heads))
    #expect(stage.model.depth == index)
    #expect(stage.trainedBlocks == Array(index - 1..<index) && stage.prefixDepth == index - 1)
    #expect(stage.trainsStem == (index == 1))
    #expect(stage.parts.map(\.name) == Self.parts(index - 1..<index, stem: index == 1))
    #expect(stage.ranges == [(stage.parts.first?.range.lowerBound ?? -1)..<stage.model.layout.count])
  }

  @Test func layerWiseWithTwoLayersAStage() {
    for index in 1...2 {
      let stage = Stage(
        .layerWise, index: index, layersPerStage: 2, Self.encoder(depth: 4),
        objective: .contrastive(Self.heads))
      #expect(stage.model.depth == 2 * index)
      #expect(stage.parts.map(\.name) == Self.parts(2 * index - 2..<2 * index, stem: index == 1))
    }
  }

  @Test(arguments: 1...4) func progressiveTrainsAllThatExists(index: Int) {
    let stage = Stage(
      .progressive, index: index, Self.encoder(depth: 4), objective: .contrastive(Self.heads))
    #expect(stage.model.depth == index)
    #expect(stage.parts.map(\.name) == Self.parts(0..<index, stem: true))
    #expect(stage.ranges == [stage.model.layout.range])
  }

  @Test func endToEndTrainsEverythingInASingleStage() {
    let stage = Stage(
      .endToEnd, index: 1, Self.encoder(depth: 4), objective: .contrastive(Self.heads))
    #expect(stage.model.depth == 4)
    #expect(stage.parts.map(\.name) == Self.parts(0..<4, stem: true))
    #expect(stage.ranges == [stage.model.layout.range])
  }

  @Test func calibrationTrainsEverythingOfTheSameModel() {
    let stage = Stage(
      .layerWise, index: 3, Self.encoder(depth: 4), objective: .contrastive(Self.heads))
    let calibration = stage.trainingEverything
    #expect(calibration.index == 3 && calibration.model.depth == 3)
    #expect(calibration.trainedBlocks == [0, 1, 2] && calibration.trainsStem)
    #expect(calibration.ranges == [stage.model.layout.range])
  }

  /// The trained parameters are one range: blocks, then norm and heads, which need the whole batch.
  @Test(arguments: Strategy.allCases) func theRangeIsBlocksThenHeads(strategy: Strategy) {
    let index = strategy.hasSingleStage ? 1 : 2
    let stage = Stage(
      strategy, index: index, Self.encoder(depth: 3), objective: .contrastive(Self.heads))
    #expect(stage.blockRanges.isEmpty == (strategy == .headOnly))
    #expect(stage.blockRanges.isEmpty || stage.blockRanges.first?.lowerBound == stage.ranges[0].lowerBound)
    #expect(stage.blockRanges.isEmpty || stage.blockRanges.last?.upperBound == stage.headRange.lowerBound)
    #expect(stage.headRange.upperBound == stage.ranges.last?.upperBound)
    #expect(stage.headRange.lowerBound == stage.model.part("norm")?.range.lowerBound)
    #expect(stage.parts.reduce(0) { $0 + $1.range.count } == stage.count)
  }

  @Test func stagesBeyondTheEncoderTrap() async {
    await #expect(processExitsWith: .failure) {
      let encoder = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)
      _ = Stage(
        .layerWise, index: 4, encoder,
        objective: .contrastive(HeadConfiguration(hidden: 20, output: 10)))
    }
    await #expect(processExitsWith: .failure) {
      let encoder = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)
      _ = Stage(
        .progressive, index: 0, encoder,
        objective: .contrastive(HeadConfiguration(hidden: 20, output: 10)))
    }
  }
}
