import Engine
import Federation
import Support

/// One of the things that are compared: a plan with a strategy and a loss of its own.
package struct ComparisonVariant: Sendable, Hashable, Codable {
  /// How it trains.
  package enum Training: String, Sendable, Codable, CaseIterable {
    case layerWise = "layer-wise"
    case progressive
    case endToEnd = "end-to-end"
    /// The baseline without a federation: one client holds all images and trains end to end.
    case centralised

    package init(_ strategy: Strategy) {
      switch strategy {
      case .layerWise: self = .layerWise
      case .progressive: self = .progressive
      case .endToEnd: self = .endToEnd
      }
    }

    package var strategy: Strategy {
      switch self {
      case .layerWise: .layerWise
      case .progressive: .progressive
      case .endToEnd, .centralised: .endToEnd
      }
    }
  }

  package let training: Training
  package let ssl: SelfSupervision

  private enum CodingKeys: String, CodingKey {
    case training = "strategy"
    case ssl
  }

  package init(_ training: Training, _ ssl: SelfSupervision) { (self.training, self.ssl) = (training, ssl) }

  /// As in `layer-wise-simclr`, for folders.
  package var name: String { "\(training.rawValue)-\(ssl.rawValue)" }
  /// As in `layer-wise, simclr`, for tables.
  package var label: String { "\(training.rawValue), \(ssl.rawValue)" }

  /// The plan that this one runs, of a comparison with so many clients.
  package func plan(of base: Plan, seed: UInt64, clients: Int) -> Plan {
    var plan = base.with(training.strategy)
    (plan.seed, plan.method.ssl) = (seed, ssl)
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    guard training == .centralised else { return plan }
    (plan.round.cohort, plan.round.quorum, plan.round.minimumClients) = (1, 1, 1)
    // Of a single update there is nothing to trim, and a device's memory is not the central machine's.
    (plan.round.aggregation, plan.local.memory) = (.mean, nil)
    // It does the work of all clients, so it has the time of all.
    let deadline = plan.round.deadline.milliseconds * clients
    plan.round.deadline = min(TimeSpan(milliseconds: deadline), PlanLimits.deadline)
    plan.round.timeout = max(plan.round.timeout, plan.round.deadline)
    return plan
  }

  /// Threads of one training: the single client of the baseline has the cores that all clients share.
  func threads(_ threads: Int, cores: Int) -> Int {
    min(training == .centralised ? cores : threads, cores, 256)
  }
}
