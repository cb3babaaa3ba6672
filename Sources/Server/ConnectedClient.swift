/// A client whose connection is there now.
package struct ConnectedClient: Sendable {
  package let name: String
  /// Bytes of its connection that the store does not count yet, from the client and to it.
  package let received: Int
  package let sent: Int
  /// How long nothing was heard of it.
  package let silence: Duration
  package let activity: ClientActivity
  /// How far its training was at its last sign of life; nil where it does not train.
  package let step: Int?
  package let steps: Int?
  /// Bytes of the update that it sends, and how many of them are here; nil where it sends none.
  package let update: (bytes: Int, here: Int)?
  /// Bytes of memory that its process had resident then; nil where it did not tell.
  package let memory: Int?

  package init(
    name: String, received: Int, sent: Int, silence: Duration, activity: ClientActivity = .idle,
    step: Int? = nil, steps: Int? = nil, update: (bytes: Int, here: Int)? = nil, memory: Int? = nil
  ) {
    (self.name, self.received, self.sent, self.silence) = (name, received, sent, silence)
    (self.activity, self.step, self.steps, self.update) = (activity, step, steps, update)
    self.memory = memory
  }
}
