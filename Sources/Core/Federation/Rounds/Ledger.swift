import Engine

/// The updates that a round has admitted.
package struct Ledger: Sendable, Hashable {
  /// By client.
  package private(set) var admitted: [String: UpdateOffer] = [:]

  package init() {}

  package mutating func admit(_ offer: UpdateOffer, from client: String) {
    precondition(admitted[client] == nil, "\(client) is already in the ledger")
    admitted[client] = offer
  }

  /// The order in which updates are aggregated, whatever the order of their arrival.
  package var inClientOrder: [(client: String, offer: UpdateOffer)] {
    admitted.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Images behind all admitted updates.
  package var samples: Int { admitted.values.reduce(0) { $0 + $1.samples } }

  /// The clients' monitors, weighted by their samples; nil where none could tell.
  package var monitors: CollapseMonitors? {
    var (sum, total) = ([Double](repeating: 0, count: 4), 0.0)
    for (_, offer) in inClientOrder {
      guard let monitors = offer.monitors, monitors.isFinite else { continue }
      let weight = Double(offer.samples)
      total += weight
      let values = [monitors.alignment, monitors.uniformity, monitors.deviation, monitors.effectiveRank]
      for (index, value) in values.enumerated() { sum[index] += weight * Double(value) }
    }
    guard total > 0 else { return nil }
    let mean = sum.map { Float($0 / total) }
    return CollapseMonitors(
      alignment: mean[0], uniformity: mean[1], deviation: mean[2], effectiveRank: mean[3])
  }

  /// The clients' losses, weighted by their samples; nil without an update.
  package var loss: Float? {
    guard samples > 0 else { return nil }
    let sum = inClientOrder.reduce(0.0) { $0 + Double($1.offer.loss) * Double($1.offer.samples) }
    return Float(sum / Double(samples))
  }
}
