import Engine
import Testing

/// Names are stored in plans and databases, so they must stay stable.
@Suite struct StrategyTests {
  @Test func namesStay() {
    #expect(Strategy.allCases.map(\.rawValue) == ["layer-wise", "progressive", "end-to-end", "head-only"])
    #expect(LayerInitialisation.allCases.map(\.rawValue) == ["transfer", "random"])
    #expect(ObjectiveKind(rawValue: "simclr") == .simclr)
  }
}
