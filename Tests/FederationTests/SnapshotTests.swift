import Engine
import Federation
import Foundation
import Testing

@Suite struct SnapshotTests {
  private let configuration = EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 3, heads: 2)
  private let heads = HeadConfiguration(hidden: 6, output: 4)

  private func stage(_ strategy: Strategy, index: Int) -> Stage {
    Stage(strategy, index: index, configuration, objective: .contrastive(heads))
  }

  /// Returns random values for every parameter of a stage's model.
  private func values(_ stage: Stage, seed: UInt64 = 1) -> [Float] {
    var numbers = RandomNumbers(seed: seed)
    return (0..<stage.model.layout.count).map { _ in Float.random(in: -1...1, using: &numbers) }
  }

  private func bytes(_ values: some Sequence<Float>) -> Data {
    Data(values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } })
  }

  private func snapshot(_ stage: Stage, _ values: [Float]) -> Snapshot {
    let parameters = Storage(stage.model.layout)
    for (index, value) in values.enumerated() { parameters.all[0, index] = value }
    return Snapshot(stage, parameters)
  }

  @Test func namesEveryPartByTheDigestOfItsLittleEndianFloats() {
    let stage = stage(.layerWise, index: 2)
    let values = values(stage)
    let snapshot = snapshot(stage, values)
    #expect(snapshot.manifest.map(\.name) == ["stem", "blocks.0", "blocks.1", "norm", "projector"])
    for (part, version) in zip(stage.model.parts, snapshot.manifest) {
      let expected = bytes(values[part.range])
      #expect(version.bytes == expected.count && version.bytes == 4 * part.range.count)
      #expect(version.digest == Digest(of: expected), "\(part.name)")
      #expect(snapshot.data(version.digest) == expected, "\(part.name)")
    }
    #expect(snapshot.manifest.reduce(0) { $0 + $1.bytes } == stage.model.layout.bytes)
    #expect(snapshot.data(Digest(of: Data("else".utf8))) == nil)
  }

  @Test func writesBackWhatItCopied() {
    let stage = stage(.progressive, index: 2)
    let values = values(stage)
    let parameters = Storage(stage.model.layout)
    let snapshot = snapshot(stage, values)
    snapshot.write(into: parameters)
    #expect(parameters.all.array() == values)
    let parts = snapshot.manifest.compactMap { snapshot.data($0.digest) }
    #expect(Snapshot(stage, parts: parts).manifest == snapshot.manifest)
  }

  @Test func theBaseFollowsFromEveryPart() {
    let stage = stage(.layerWise, index: 2)
    let values = values(stage)
    let base = snapshot(stage, values).base
    #expect(base == Snapshot.base(of: snapshot(stage, values).manifest))
    for part in stage.model.parts {
      var changed = values
      changed[part.range.lowerBound] += 1
      #expect(snapshot(stage, changed).base != base, "\(part.name)")
    }
  }

  @Test(arguments: [
    (Strategy.layerWise, 1, ["stem", "blocks.0", "norm", "projector"]),
    (.layerWise, 3, ["blocks.2", "norm", "projector"]),
    (.progressive, 2, ["stem", "blocks.0", "blocks.1", "norm", "projector"]),
    (.endToEnd, 1, ["stem", "blocks.0", "blocks.1", "blocks.2", "norm", "projector"]),
  ])
  func replacingChangesWhatTrainsAndNothingElse(strategy: Strategy, index: Int, trained: [String]) {
    let stage = stage(strategy, index: index)
    let before = values(stage)
    let old = snapshot(stage, before)
    let update = Array(values(stage, seed: 2)[stage.ranges[0]])
    let new = old.replacing(trained: update)
    let changed = zip(old.manifest, new.manifest).filter { $0.digest != $1.digest }.map(\.0.name)
    #expect(changed == trained)
    let parameters = Storage(stage.model.layout)
    new.write(into: parameters)
    #expect(parameters.all.array() == before[..<stage.ranges[0].lowerBound] + update)
    #expect(old.replacing(trained: Array(before[stage.ranges[0]])).manifest == old.manifest)
  }

  @Test func theEncodersDigestIsOfItsWeightsInOrder() {
    let stage = stage(.layerWise, index: 3)
    let values = values(stage)
    let digest = snapshot(stage, values).encoderDigest
    #expect(digest == Digest(of: bytes(values[stage.model.encoderRange])))
    var other = values
    for index in stage.model.encoderRange.upperBound..<values.count { other[index] += 1 }
    #expect(snapshot(stage, other).encoderDigest == digest)
    #expect(snapshot(stage, other).base != snapshot(stage, values).base)
    other = values
    other[stage.model.encoderRange.upperBound - 1] += 1
    #expect(snapshot(stage, other).encoderDigest != digest)
  }

  @Test func theEncodersTensorsAreItsParameters() {
    let stage = stage(.layerWise, index: 1)
    let values = values(stage)
    let file = snapshot(stage, values).encoderTensors()
    let all = file.names.flatMap { file.tensors[$0]?.values ?? [] }
    #expect(all == Array(values[stage.model.encoderRange]))
    #expect(!file.names.contains { $0.hasPrefix("projector") })
  }

  /// Two layers with equal weights, as after a transfer, are one version with two names.
  @Test func equalPartsShareTheirBytes() {
    let stage = stage(.progressive, index: 2)
    var values = values(stage)
    guard let below = stage.model.part("blocks.0"), let above = stage.model.part("blocks.1") else {
      Issue.record("no blocks")
      return
    }
    values.replaceSubrange(above.range, with: values[below.range])
    let snapshot = snapshot(stage, values)
    #expect(snapshot.manifest[1].digest == snapshot.manifest[2].digest)
    let parameters = Storage(stage.model.layout)
    snapshot.write(into: parameters)
    #expect(parameters.all.array() == values)
  }
}
