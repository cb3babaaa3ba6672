import Engine
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

/// Complete runs of the same plan with each codec.
@Suite(.unhurried) struct UpdateCodecTests {
  @Test func whatTravelsGetsSmallerAndWhatIsExactChangesNoBit() async throws {
    var (digests, bytes): ([UpdateCodec: String], [UpdateCodec: Int]) = ([:], [:])
    for codec in UpdateCodec.allCases {
      var plan = Plan.tiny(rounds: 2)
      // A first step changes every weight by the same amount, which any codec represents in a bit; several steps do
      // not.
      plan.local.epochs = 4
      // Makes the weights most of the traffic.
      plan.encoder.width = 16 * plan.encoder.vit.heads
      plan.traffic = Plan.TrafficRules(codec: codec, kept: 0.05)
      let summary = try await TinyRun.summary(plan)
      #expect(summary.rounds.allSatisfy { $0.loss.isFinite && $0.clients == plan.round.cohort }, "\(codec)")
      digests[codec] = summary.encoderDigest
      bytes[codec] = summary.clients.reduce(0) { $0 + $1.bytesUp }
    }
    #expect(digests[.float32] == digests[.plain])
    #expect(Set(digests.values).count == UpdateCodec.allCases.count - 1, "\(digests)")
    let order: [UpdateCodec] = [.plain, .float32, .bfloat16, .int8, .int4]
    for (larger, smaller) in zip(order, order.dropFirst()) {
      #expect(bytes[smaller]! < bytes[larger]!, "\(smaller), \(larger): \(bytes)")
    }
    #expect(bytes[.topK]! < bytes[.int8]!, "\(bytes)")
  }

  @Test func layersTravelAsDifferencesToo() async throws {
    var (digests, bytes): ([UpdateCodec: String], [UpdateCodec: Int]) = ([:], [:])
    for codec in [UpdateCodec.plain, .float32, .bfloat16, .int8] {
      var plan = Plan.tiny(rounds: 4)
      plan.encoder.width = 16 * plan.encoder.vit.heads
      plan.heads = HeadConfiguration(hidden: 64, output: 32)
      plan.traffic.layers = codec
      let summary = try await TinyRun.summary(plan)
      #expect(summary.rounds.allSatisfy { $0.loss.isFinite && $0.clients == plan.round.cohort }, "\(codec)")
      digests[codec] = summary.encoderDigest
      bytes[codec] = summary.clients.reduce(0) { $0 + $1.bytesDown }
    }
    #expect(digests[.float32] == digests[.plain], "nothing is lost")
    #expect(Set(digests.values).count == 3)
    #expect(bytes[.float32]! < bytes[.plain]! && bytes[.bfloat16]! < bytes[.float32]!, "\(bytes)")
    #expect(bytes[.int8]! < bytes[.bfloat16]!, "\(bytes)")
  }

  /// The same run gives the same bits, including stochastic rounding.
  @Test func aRunIsRepeatedExactly() async throws {
    var plan = Plan.tiny(rounds: 2)
    plan.traffic.codec = .int4
    let digests = [
      try await TinyRun.summary(plan).encoderDigest, try await TinyRun.summary(plan).encoderDigest,
    ]
    #expect(digests[0] == digests[1])
  }

  @Test(arguments: [AggregationRule.median, .trimmedMean]) func otherRulesReadCodedUpdates(
    rule: AggregationRule
  ) async throws {
    var digests: [String] = []
    for codec in [UpdateCodec.plain, .float32] {
      var plan = Plan.tiny()
      plan.round = Plan.RoundRules(cohort: 3, quorum: 3, aggregation: rule)
      plan.traffic.codec = codec
      digests.append(try await TinyRun.summary(plan, clients: 3).encoderDigest)
    }
    #expect(digests[0] == digests[1])
  }
}
