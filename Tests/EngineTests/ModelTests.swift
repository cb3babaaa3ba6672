import Engine
import Testing

@Suite struct ModelTests {
  /// ViT-Tiny as in the paper.
  private static let tiny = EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3)

  @Test func hasThePapersParameterCounts() {
    let model = Model(
      Self.tiny, objective: .contrastive(HeadConfiguration(bias: true)), depth: 12)
    var counts: [String: Int] = [:]
    for entry in model.layout.entries { counts[entry.name] = entry.slot.count }
    for index in 0..<12 { #expect(model.part("blocks.\(index)")?.range.count == 444_864) }
    #expect((counts["patch_embed.proj.weight"] ?? 0) + (counts["patch_embed.proj.bias"] ?? 0) == 9_408)
    #expect(counts["pos_embed"] == 12_480)
    #expect(counts["cls_token"] == 192)
    #expect(model.part("stem")?.range.count == 9_408 + 12_480 + 192)
    #expect(model.part("norm")?.range.count == 384)
    #expect(model.encoderRange == 0..<5_360_832)
    #expect(model.part("projector")?.range.count == 494_848)
    #expect(model.layout.count == 5_360_832 + 494_848)
  }

  @Test func partsCoverTheLayoutWithoutGaps() {
    let model = Model(Self.tiny, objective: .contrastive(HeadConfiguration()), depth: 5)
    #expect(
      model.parts.map(\.name)
        == ["stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "norm", "projector"])
    var end = 0
    for part in model.parts {
      #expect(part.range.lowerBound == end)
      end = part.range.upperBound
    }
    #expect(end == model.layout.count)
    #expect(model.encoderRange.upperBound == model.part("norm")?.range.upperBound)
    #expect(model.part("predictor") == nil && model.part("blocks.5") == nil)
  }

  /// Parts are sent as ranges of the layout, so parameters are packed.
  @Test func parametersArePackedAndNamedOnce() {
    let layout = Model(
      Self.tiny, objective: .contrastive(HeadConfiguration(bias: true)), depth: 2
    ).layout
    #expect(layout.entries.reduce(0) { $0 + $1.slot.count } == layout.count)
    #expect(Set(layout.entries.map(\.name)).count == layout.entries.count)
  }

  /// Growing appends parts: the shallower model is a prefix of the deeper one.
  @Test func theEncodersPrefixStaysWhereItIs() {
    let (shallow, deep) = (
      Model(Self.tiny, objective: .contrastive(HeadConfiguration()), depth: 3),
      Model(Self.tiny, objective: .contrastive(HeadConfiguration()), depth: 7)
    )
    for part in shallow.parts where part.name == "stem" || part.name.hasPrefix("blocks.") {
      #expect(deep.part(part.name) == part)
    }
  }
}
