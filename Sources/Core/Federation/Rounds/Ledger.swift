import Engine

/// The admitted updates of a round.
package struct Ledger: Sendable, Hashable {
  /// The admitted updates by client.
  package private(set) var admitted: [String: UpdateOffer] = [:]
  private let maxSamples: Int?

  /// - Parameter maxSamples: The maximum weight of a client; nil means ten times the lower median of the claims.
  package init(maxSamples: Int? = nil) { self.maxSamples = maxSamples }

  /// The maximum weight as a multiple of the lower median, so that a claim cannot gain a majority.
  private static let mostMedians = 10

  /// The maximum number of samples that count for one client.
  package var mostCounted: Int { admitted.isEmpty ? 0 : maxSamples ?? mostPlausible }

  /// Ten times the lower median of the claims.
  private var mostPlausible: Int {
    let claims = admitted.values.map(\.samples).filter { $0 > 0 }.sorted()
    return claims.isEmpty ? 0 : Self.mostMedians * claims[(claims.count - 1) / 2]
  }

  /// The total number of samples, with every claim limited to ten times the lower median, whatever the maximum.
  package var plausibleSamples: Int {
    let most = mostPlausible
    return admitted.values.reduce(0) { $0 + min($1.samples, most) }
  }

  /// The number of samples that count, by client: its claim, or the maximum.
  package var counted: [String: Int] {
    let most = mostCounted
    return admitted.mapValues { min($0.samples, most) }
  }

  /// The clients whose claims exceed the maximum, by name.
  package var cut: [String] {
    let most = mostCounted
    return admitted.filter { $0.value.samples > most }.keys.sorted()
  }

  package mutating func admit(_ offer: UpdateOffer, from client: String) {
    precondition(admitted[client] == nil, "\(client) is already in the ledger")
    admitted[client] = offer
  }

  /// The updates in the order in which they are aggregated, independent of their arrival, without those of clients that
  /// have no images left.
  package var inClientOrder: [(client: String, offer: UpdateOffer)] {
    admitted.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// The total number of samples that count.
  package var samples: Int { counted.values.reduce(0, +) }

  /// The mean loss, and the means of the metrics that clients report: each over the clients that report it, weighted by
  /// samples.
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

  /// The mean of the clients' losses, weighted by samples; nil without an update.
  package var loss: Float? {
    let (samples, most) = (samples, mostCounted)
    guard samples > 0 else { return nil }
    let sum = inClientOrder.reduce(0.0) { $0 + Double($1.offer.loss) * Double(min($1.offer.samples, most)) }
    return Float(sum / Double(samples))
  }
}

/// Clients that still train for a closed round, whose updates the next round accepts.
package struct Stragglers: Sendable {
  /// The closed round.
  package let key: RoundKey
  package private(set) var clients: Set<String>
  /// Returns the expected update of a client.
  let expected: @Sendable (String) -> Round.Expectation

  package init(
    _ key: RoundKey, _ clients: some Sequence<String>,
    expecting expected: @escaping @Sendable (String) -> Round.Expectation
  ) {
    (self.key, self.clients, self.expected) = (key, Set(clients), expected)
  }

  /// Removes a client whose update has arrived or will not arrive.
  mutating func remove(_ client: String) { clients.remove(client) }
}

extension Plan {
  /// The treatment of updates that are not ready when their round ends.
  package enum StragglerRule: String, Sendable, Codable, CaseIterable {
    /// The client is released; its update would be rejected.
    case reject
    /// The client may send its update until the end of the stage's next round, which includes it: its difference from
    /// the weights that it was based on is added to the current global weights.
    case fold
  }
}
