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

  /// The clients' losses, weighted by their samples; nil without an update.
  package var loss: Float? {
    guard samples > 0 else { return nil }
    let sum = inClientOrder.reduce(0.0) { $0 + Double($1.offer.loss) * Double($1.offer.samples) }
    return Float(sum / Double(samples))
  }
}
