import Datasets
import Engine
import Federation
import Foundation
import Testing

/// Sums of clients' rows, and the model that a server makes of them.
@Suite struct UpdateContentTests {
  private static func plan(_ statistics: Plan.Regression.Statistics) -> Plan {
    var network = DeepLinearConfiguration(features: 5, width: 6, depth: 3)
    network.outputs = 2
    var plan = Plan(seed: 21, encoder: EncoderConfiguration(network))
    plan.method = Plan.Method(
      laps: 2, roundsPerStage: .each(1), initialisation: .random, objective: .regression, alignment: 0)
    plan.method.regression = Plan.Regression(statistics: statistics)
    return plan
  }

  private static func rows(_ count: Int, scale: Double = 1) -> RowStatistics {
    var settings = GeneratedRows()
    (settings.inputs, settings.targets, settings.seed, settings.scale) = (5, 2, 22, scale)
    return RowStatistics(settings.rows(count, role: .train), workers: Workers(1))
  }

  private func sums(_ plan: Plan, _ key: RoundKey) throws -> BlockSums {
    guard case .sums(let sums) = plan.stage(key.stage).updateContent(round: key.round) else {
      throw CocoaError(.featureUnsupported)
    }
    return sums
  }

  private func total(_ sums: BlockSums, _ snapshot: Snapshot, _ rows: [RowStatistics]) -> [Double] {
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    var total = [Double](repeating: 0, count: sums.numbers)
    for some in rows {
      let values = sums.update(some, parameters).values
      #expect(values.count == sums.count)
      for (index, value) in values.withUnsafeBufferPointer(FloatPairs.decode).enumerated() {
        total[index] += value
      }
    }
    return total
  }

  private func network(_ snapshot: Snapshot) throws -> DeepLinearNetwork {
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    return try #require(snapshot.stage.model.encoder as? DeepLinearEncoder).network(parameters)
  }

  @Test(arguments: Plan.Regression.Statistics.allCases)
  func aRoundReplacesOnePart(statistics: Plan.Regression.Statistics) throws {
    let plan = Self.plan(statistics)
    var snapshot = plan.firstSnapshot()
    let rows = [Self.rows(30)]
    for stage in 1...3 {
      for round in 1...plan.mostRounds(stage: stage) {
        let sums = try sums(plan, RoundKey(stage: stage, round: round))
        let next = sums.next(after: snapshot, total(sums, snapshot, rows), rows: 30)
        let changed = zip(snapshot.manifest, next.manifest).filter { $0 != $1 }.map(\.1.name)
        let expected = statistics == .exchange && round == 1 ? "gradient" : "blocks.\(stage - 1)"
        #expect(changed == [expected])
        #expect(snapshot.stage.partsChanged(round: round) == [expected])
        snapshot = next
      }
      if stage < 3 { snapshot = plan.grow(snapshot) }
    }
  }

  /// If other clients answer than those of the gradient, their rows stand for these. Here each row is there twice, so the
  /// step is the same.
  @Test func otherClientsThanThoseOfTheGradientStandForThem() throws {
    let plan = Self.plan(.exchange)
    let first = plan.firstSnapshot()
    let rows = Self.rows(40)
    let gradient = try sums(plan, RoundKey(stage: 1, round: 1))
    let curvature = try sums(plan, RoundKey(stage: 1, round: 2))
    let summed = gradient.next(after: first, total(gradient, first, [rows, rows]), rows: 80)
    let all = curvature.next(after: summed, total(curvature, summed, [rows, rows]), rows: 80)
    let half = curvature.next(after: summed, total(curvature, summed, [rows]), rows: 40)
    let (one, other) = (try network(all).weight(0), try network(half).weight(0))
    #expect(one != (try network(first).weight(0)))
    #expect(zip(one, other).allSatisfy { abs($0 - $1) < 1e-13 })
  }

  /// Numbers of a peer that are no sums of rows lead to no step, and never to a trap.
  @Test func whatIsNoSumOfRowsChangesNothing() throws {
    let plan = Self.plan(.moments)
    let first = plan.firstSnapshot()
    let sums = try sums(plan, RoundKey(stage: 1, round: 1))
    for value in [0, -1.0, -1e300] {
      var numbers = [Double](repeating: 1, count: sums.numbers)
      for index in sums.gradientCount..<numbers.count { numbers[index] = value }
      #expect(sums.next(after: first, numbers, rows: 3).manifest == first.manifest)
    }
    let exchange = Self.plan(.exchange)
    let curvature = try self.sums(exchange, RoundKey(stage: 1, round: 2))
    for (value, rows) in [(1.0, 0), (0, 10), (-1, 10)] {
      let start = exchange.firstSnapshot()
      #expect(curvature.next(after: start, [value], rows: rows).manifest == start.manifest)
    }
  }

  /// A summed gradient may be far larger than weights without a divergence, but not infinite.
  @Test func sumsAreNotLimitedLikeWeights() throws {
    let plan = Self.plan(.exchange)
    let first = plan.firstSnapshot()
    let sums = try sums(plan, RoundKey(stage: 1, round: 1))
    let large = sums.next(after: first, [Double](repeating: 1e20, count: sums.numbers), rows: 3)
    #expect(!large.hasDiverged(since: first))
    let infinite = sums.next(after: first, [Double](repeating: 1e60, count: sums.numbers), rows: 3)
    #expect(infinite.hasDiverged(since: first))
    let moments = Self.plan(.moments)
    let start = moments.firstSnapshot()
    let step = try self.sums(moments, RoundKey(stage: 1, round: 1))
    var numbers = [Double](repeating: 1e20, count: step.numbers)
    for index in step.gradientCount..<numbers.count { numbers[index] = 1e-20 }
    #expect(step.next(after: start, numbers, rows: 3).hasDiverged(since: start))
  }

  @Test func theInitialMatricesAreOrthogonalAndOfTheSeed() throws {
    let plan = Self.plan(.moments)
    let network = try network(plan.firstSnapshot())
    let other = DeepLinearNetwork(network.shape)
    other.draw(.orthogonal, seed: plan.seed)
    for block in 0..<3 {
      #expect(zip(network.weight(block), other.weight(block)).allSatisfy { abs($0 - $1) < 1e-15 })
    }
    var gaussian = plan
    gaussian.encoder.linear.start = .gaussian
    #expect(try self.network(gaussian.firstSnapshot()).weight(0) != network.weight(0))
  }

  /// A pass over rows ends when it is not needed any more.
  @Test func aPassCanBeStopped() throws {
    let plan = Self.plan(.moments)
    let snapshot = plan.firstSnapshot()
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    let sums = try sums(plan, RoundKey(stage: 1, round: 1))
    let rows = Self.rows(100_000)
    var asked = 0
    _ = sums.update(rows, parameters) {
      asked += 1
      return asked < 2
    }
    // Of 391 chunks, some are asked for together.
    #expect(asked >= 2 && asked < 20)
    #expect(sums.update(rows, parameters).values == sums.update(Self.rows(100_000), parameters).values)
  }
}
