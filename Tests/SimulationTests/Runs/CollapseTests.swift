import Engine
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct CollapseTests {
  /// BYOL without a moving average, with a rate and a decay that prevent learning.
  private static var collapsing: Plan {
    var plan = Plan(
      name: "collapse", seed: 1,
      encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 1, heads: 3),
      heads: HeadConfiguration(hidden: 32, output: 16))
    (plan.method.objective, plan.method.momentum, plan.method.alignment) = (.byol, 0, 0)
    plan.method.roundsPerStage = .each(30)
    plan.local = Plan.LocalTraining(epochs: 40, batch: 16, learningRate: 1, weightDecay: 1)
    plan.round = Plan.RoundRules(cohort: 2)
    return plan
  }

  @Test func aRunThatCollapsesIsCalledSo() async throws {
    try await TinyRun.run(Self.collapsing) { summary, out in
      let monitors = try #require(summary.rounds.last?.monitors)
      #expect(monitors.isCollapsed && summary.collapsed, "\(monitors)")
      let report = try String(contentsOf: out.appendingPathComponent("report.txt"), encoding: .utf8)
      #expect(report.contains("COLLAPSED"), "\(report)")
    }
  }

  @Test func aRunThatLearnsIsNot() async throws {
    try await TinyRun.run(.tiny(rounds: 3)) { summary, out in
      #expect(!summary.collapsed && summary.rounds.allSatisfy { $0.monitors?.isFinite == true })
      let report = try String(contentsOf: out.appendingPathComponent("report.txt"), encoding: .utf8)
      #expect(report.contains("no collapse"), "\(report)")
    }
  }
}
