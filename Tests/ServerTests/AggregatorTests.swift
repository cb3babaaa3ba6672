import TestSupport
import Engine
import Federation
import Foundation
import Server
import Testing

@Suite struct AggregatorTests {
  private let key = RoundKey(stage: 1, round: 1)

  /// Returns a plan whose projector has several blocks of columns, the last of them incomplete.
  private func plan(_ rule: AggregationRule) -> Plan {
    var plan = Plan.tiny(rounds: .each(1))
    plan.heads = HeadConfiguration(hidden: 250, output: 101)
    plan.round.aggregation = rule
    return plan
  }

  /// Writes updates of five clients to disk, each with the codec at its position.
  private func withUpdates(
    _ plan: Plan, _ codecs: [UpdateCodec], _ body: (Aggregator, [[Float]], [Int]) throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      let spool = try UpdateSpool(folder)
      let snapshot = plan.firstSnapshot()
      let base = snapshot.trainedWeights(keeping: [0])
      var (ledger, offers, updates): (Ledger, [String: UpdateOffer], [[Float]]) = (Ledger(), [:], [])
      for (client, codec) in codecs.enumerated() {
        var numbers = RandomNumbers(5 + UInt64(client), "update")
        let values = base.map { $0 + Float(numbers.normal()) }
        let coding = UpdateCoding(codec, plan.stage(1, keeping: [0]), share: Double(plan.traffic.kept))
        let bytes = coding.encode(values, base: base, seed: 3)
        let offer = UpdateOffer(
          key: key, base: snapshot.base, digest: Digest(of: bytes), bytes: bytes.count,
          samples: 7 + 3 * client,
          steps: 1, loss: 1, seconds: 1, codec: codec == .plain ? nil : codec)
        let name = "client-\(client)"
        _ = spool.begin(offer, from: name)
        try spool.open(offer, from: name).write(bytes, at: 0)
        ledger.admit(offer, from: name)
        offers[name] = offer
        updates.append(try coding.decode(bytes, base: base))
      }
      let aggregator = Aggregator(plan: plan, snapshot: snapshot, key: key, ledger: ledger) {
        [offers] client throws(StoreError) in try spool.arrived(offers[client]!, from: client)
      }
      try body(aggregator, updates, offers.sorted { $0.key < $1.key }.map(\.value.samples))
    }
  }

  private static let mixed: [UpdateCodec] = [.plain, .int8, .float32, .plain, .int4]
  private static let plain = [UpdateCodec](repeating: .plain, count: 5)

  @Test(arguments: AggregationRule.allCases, [plain, mixed])
  func threadsChangeNoBit(_ rule: AggregationRule, _ codecs: [UpdateCodec]) async throws {
    try await withUpdates(plan(rule), codecs) { aggregator, _, _ in
      let alone = try aggregator.run(threads: 1).manifest
      #expect(alone != aggregator.snapshot.manifest)
      for threads in [2, 3, 8] { #expect(try aggregator.run(threads: threads).manifest == alone) }
    }
  }

  @Test(arguments: [plain, mixed]) func aMeanWeighsWhatWasDecodedByImages(_ codecs: [UpdateCodec])
    async throws
  {
    try await withUpdates(plan(.mean), codecs) { aggregator, updates, samples in
      let mean = try aggregator.run(threads: 2).trainedWeights(keeping: [0])
      let total = Double(samples.reduce(0, +))
      for index in mean.indices {
        let exact = zip(updates, samples).reduce(0.0) { $0 + Double($1.0[index]) * Double($1.1) / total }
        #expect(abs(Double(mean[index]) - exact) < 1e-5, "weight \(index)")
      }
    }
  }

  /// The drift is that of the definition, whatever the coding of an update.
  @Test(arguments: AggregationRule.allCases, [plain, mixed])
  func driftIsTheDistanceFromTheMean(_ rule: AggregationRule, _ codecs: [UpdateCodec]) async throws {
    try await withUpdates(plan(rule), codecs) { aggregator, updates, samples in
      let result = try aggregator.run(threads: 2)
      let drift = try aggregator.drift(of: result, threads: 2)
      let base = aggregator.snapshot.trainedWeights(keeping: [0]).map(Double.init)
      let mean = zip(result.trainedWeights(keeping: [0]), base).map { Double($0) - $1 }
      var (distances, cosines) = (0.0, 0.0)
      for (client, update) in updates.enumerated() {
        let own = zip(update, base).map { Double($0) - $1 }
        let apart = zip(own, mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        func length(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        let cosine = zip(own, mean).reduce(0) { $0 + $1.0 * $1.1 } / (length(own) * length(mean))
        let name = "client-\(client)"
        let found = try #require(drift[.driftDistance, client: name])
        #expect(abs(found - apart) < 1e-6 * apart, "\(name)")
        #expect(abs((drift[.driftCosine, client: name] ?? 2) - cosine) < 1e-9, "\(name)")
        distances += Double(samples[client]) * found
        cosines += Double(samples[client]) * cosine
      }
      let total = Double(samples.reduce(0, +))
      #expect(abs((drift[.driftDistance] ?? -1) - distances / total) < 1e-9 * distances)
      #expect(abs((drift[.driftCosine] ?? 2) - cosines / total) < 1e-9)
      for threads in [1, 3, 8] { #expect(try aggregator.drift(of: result, threads: threads) == drift) }
    }
  }

  @Test(arguments: AggregationRule.allCases) func anUpdateThatIsGoneIsSaid(_ rule: AggregationRule)
    async throws
  {
    try await withUpdates(plan(rule), Self.plain) { aggregator, _, _ in
      let broken = Aggregator(
        plan: aggregator.plan, snapshot: aggregator.snapshot, key: key, ledger: aggregator.ledger
      ) { client throws(StoreError) in
        guard client != "client-3" else { throw StoreError("client-3: gone") }
        return try aggregator.open(client)
      }
      #expect { _ = try broken.run(threads: 2) } throws: { "\($0)" == "client-3: gone" }
    }
  }
}
