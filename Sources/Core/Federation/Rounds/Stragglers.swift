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
