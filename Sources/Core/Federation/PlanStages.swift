import Engine
import Support

/// The stages of a plan for the sets of blocks that clients have, each derived from the plan once.
package struct PlanStages: Sendable {
  private struct Key: Sendable, Hashable {
    let index: Int
    let kept: [Int]
  }

  private let plan: Plan
  private let stages: Memo<Key, Stage>
  /// With depth dropout clients have different blocks. A stage takes some tens of kilobytes.
  private static let limit = 64

  package init(_ plan: Plan) {
    self.plan = plan
    stages = Memo(limit: Self.limit) { plan.stage($0.index, keeping: $0.kept) }
  }

  /// Returns stage `index`, counted from 1, for a client that has the blocks `kept`.
  package func stage(_ index: Int, keeping kept: [Int]) -> Stage { stages(Key(index: index, kept: kept)) }

  /// Returns the stage of a client in a round.
  package func stage(_ key: RoundKey, client: String) -> Stage {
    stage(key.stage, keeping: plan.keptBlocks(key, client: client))
  }

  /// Returns the coding of a client's update of a round.
  package func coding(_ codec: UpdateCodec?, _ key: RoundKey, client: String) -> UpdateCoding {
    coding(codec ?? .plain, key, keeping: plan.keptBlocks(key, client: client))
  }

  /// Returns the coding of an update of a round by a client that has the blocks `kept`. Sums are sent as they are.
  package func coding(_ codec: UpdateCodec, _ key: RoundKey, keeping kept: [Int]) -> UpdateCoding {
    let stage = stage(key.stage, keeping: kept)
    return switch stage.updateContent(round: key.round) {
    case .parameters: UpdateCoding(codec, stage, share: Double(plan.traffic.kept))
    case .sums(let sums): UpdateCoding(.plain, [(1, sums.count)], share: 1)
    }
  }
}
