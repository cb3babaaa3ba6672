import Engine
import Federation

/// What a plan's rounds send to and from one client, by how numbers travel and by how many rounds it misses, beside
/// end-to-end training in float32. Computed; what zlib saves is left out. The names are those of
/// `fedsim traffic --json`.
package struct TrafficAccount: Sendable, Hashable, Codable {
  package struct Line: Sendable, Hashable, Codable {
    package let strategy: Strategy
    /// How updates travel, and how layers.
    package let codec: UpdateCodec
    package let layers: UpdateCodec
    /// The chance that the client misses a round.
    package let dropout: Float
    package let bytesUp: Int
    package let bytesDown: Int
    /// Of what plain end-to-end training sends to a client that misses as many.
    package let share: Double
  }

  package let name: String
  package let rounds: Int
  package let lines: [Line]

  /// How both ways are coded, from the least to the most.
  package static let codings: [(codec: UpdateCodec, layers: UpdateCodec)] = [
    (.plain, .plain), (.float32, .float32), (.bfloat16, .bfloat16), (.int8, .int8), (.int4, .int8),
    (.int4, .int4), (.topK, .int4),
  ]

  package init(_ plan: Plan, dropouts: [Float] = [0, 0.25, 0.5]) {
    (name, rounds) = (plan.name, plan.mostRounds)
    lines = dropouts.flatMap { dropout -> [Line] in
      var reference = plan.with(.endToEnd)
      reference.traffic = Plan.TrafficRules()
      let most = PlannedTraffic(reference, dropout: dropout)
      func line(_ plan: Plan, _ traffic: PlannedTraffic) -> Line {
        Line(
          strategy: plan.method.strategy, codec: plan.traffic.codec, layers: plan.traffic.layers,
          dropout: dropout, bytesUp: traffic.bytesUp, bytesDown: traffic.bytesDown,
          share: Double(traffic.bytesUp + traffic.bytesDown) / Double(most.bytesUp + most.bytesDown))
      }
      let coded = Self.codings.map { coding in
        var variant = plan
        (variant.traffic.codec, variant.traffic.layers) = coding
        return line(variant, PlannedTraffic(variant, dropout: dropout))
      }
      return [line(reference, most)] + coded
    }
  }
}
