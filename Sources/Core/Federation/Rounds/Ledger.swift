import Engine

/// The updates that a round has admitted.
package struct Ledger: Sendable, Hashable {
  /// By client.
  package private(set) var admitted: [String: UpdateOffer] = [:]
  private let maxSamples: Int?

  /// - Parameter maxSamples: what a claim of samples counts for at most; nil: ten times the lower median of them.
  package init(maxSamples: Int? = nil) { self.maxSamples = maxSamples }

  /// How many times the lower median a claim counts for at most: it must not buy a majority.
  private static let mostMedians = 10

  /// The most samples that any of the claims counts for.
  package var mostCounted: Int {
    let claims = admitted.values.map(\.samples).sorted()
    guard !claims.isEmpty else { return 0 }
    return maxSamples ?? Self.mostMedians * claims[(claims.count - 1) / 2]
  }

  /// By client: the samples that its update counts for, which it claims, or a part of them.
  package var counted: [String: Int] {
    let most = mostCounted
    return admitted.mapValues { min($0.samples, most) }
  }

  /// The clients whose claims count in part, by name.
  package var cut: [String] {
    let most = mostCounted
    return admitted.filter { $0.value.samples > most }.keys.sorted()
  }

  package mutating func admit(_ offer: UpdateOffer, from client: String) {
    precondition(admitted[client] == nil, "\(client) is already in the ledger")
    admitted[client] = offer
  }

  /// The order in which updates are aggregated, whatever the order of their arrival.
  package var inClientOrder: [(client: String, offer: UpdateOffer)] {
    admitted.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Images behind all admitted updates, as they count.
  package var samples: Int { counted.values.reduce(0, +) }

  /// The clients' losses and the metrics that they report: of each the mean over the clients that have it, weighted by
  /// their samples.
  package var metrics: RoundMetrics {
    let most = mostCounted
    var metrics = RoundMetrics()
    metrics[.loss] = loss.map { Double($0) }
    for metric in Metric.ofClients {
      var (sum, total) = (0.0, 0.0)
      for (_, offer) in inClientOrder {
        guard let value = offer.metrics[metric.name], value.isFinite else { continue }
        let weight = Double(min(offer.samples, most))
        total += weight
        sum += weight * Double(value)
      }
      if total > 0 { metrics[metric] = Double(Float(sum / total)) }
    }
    return metrics
  }

  /// The clients' losses, weighted by their samples; nil without an update.
  package var loss: Float? {
    let (samples, most) = (samples, mostCounted)
    guard samples > 0 else { return nil }
    let sum = inClientOrder.reduce(0.0) { $0 + Double($1.offer.loss) * Double(min($1.offer.samples, most)) }
    return Float(sum / Double(samples))
  }
}

/// Clients that still train for a round that is over, whose updates the next round takes as well.
package struct Stragglers: Sendable {
  /// The round that they train for.
  package let key: RoundKey
  package private(set) var clients: Set<String>
  /// What the update of each must look like.
  let expected: @Sendable (String) -> Round.Expectation

  package init(
    _ key: RoundKey, _ clients: some Sequence<String>,
    expecting expected: @escaping @Sendable (String) -> Round.Expectation
  ) {
    (self.key, self.clients, self.expected) = (key, Set(clients), expected)
  }

  /// Its update is here, or will not come.
  mutating func remove(_ client: String) { clients.remove(client) }
}

extension Plan {
  /// What becomes of an update that is not ready when its round is over.
  package enum StragglerRule: String, Sendable, Codable, CaseIterable {
    /// The client is told to stop; its update would be rejected.
    case reject
    /// It may come until the next round of the stage is over, and is folded into that one: its difference from
    /// the weights that it started from is added to those that are the global ones by then.
    case fold
  }
}
