import Foundation

/// The client's side of the protocol as a value: messages and events are its input, actions its output.
package struct Participation: Sendable {
  package enum Phase: Sendable, Hashable {
    /// The hello is sent; the welcome has not arrived.
    case greeting
    /// Waiting for an assignment.
    case idle
    /// Some parts of the assignment's model are missing; the first of them is being fetched.
    case fetching(Assignment, missing: [PartVersion])
    case training(Assignment)
    /// An update is ready and has been offered to the server.
    case offering(UpdateOffer)
    case finished(Goodbye)
  }

  /// An action for the client.
  package enum Action: Sendable, Hashable {
    case send(Message)
    /// Request a version, from the end of the stored data.
    case fetch(PartVersion)
    /// Prepare for the plan.
    case prepare(Welcome)
    /// Store a piece of a layer.
    case store(LayerData, Data)
    case train(Assignment)
    /// Reconstruct the parts received as deltas, then call ``assemble(_:missing:)``.
    case assemble(Assignment)
    /// Discard the current training, or its update, which is no longer needed.
    case drop(RoundKey)
    /// Stop the work for a round. A finished update is kept, because the round may be assigned again.
    case halt(RoundKey)
    /// Send the update's bytes from an offset.
    case upload(UpdateOffer, from: Int)
    /// Log the server's decision.
    case note(Acknowledgement)
    case finish(Goodbye)
  }

  package private(set) var phase = Phase.greeting
  private var losses = 0

  package init() {}

  /// Returns the first action of a connection.
  package func greet(
    name: String, software: String, codecs: [UpdateCodec]? = nil, layers: [Digest]? = nil
  ) -> [Action] {
    [.send(.hello(Hello(name: name, software: software, codecs: codecs, layers: layers)))]
  }

  /// Handles a message from the server. `holds` returns whether a version is stored; `declines` returns the reason why
  /// this client declines a round, or nil.
  ///
  /// Throws ``UnexpectedMessage`` if the message is not valid in this phase.
  package mutating func hear(
    _ message: Message, holds: (PartVersion) -> Bool, declines: (RoundKey) -> DeclineReason? = { _ in nil }
  ) throws(UnexpectedMessage) -> [Action] {
    switch (message, phase) {
    case (.welcome(let welcome), .greeting):
      phase = .idle
      return [.prepare(welcome)]
    case (.assignment(let assignment), .idle), (.assignment(let assignment), .fetching),
      (.assignment(let assignment), .training), (.assignment(let assignment), .offering):
      // A new assignment means that the server no longer waits for the old one.
      let actions = dropped
      guard let reason = declines(assignment.key) else { return actions + take(assignment, holds: holds) }
      phase = .idle
      return actions + [decline(assignment.key, reason)]
    case (.layer(let head, let bytes), .fetching(let assignment, let missing)):
      return try store(head, bytes, assignment, missing)
    case (.layer, .idle), (.layer, .training), (.layer, .offering):
      return []  // The end of a transfer for a closed round.
    case (.request(let request), .offering(let offer)) where request.digest == offer.digest:
      guard request.offset >= 0, request.offset <= offer.bytes else {
        throw UnexpectedMessage("a request from offset \(request.offset) of \(offer.bytes) bytes")
      }
      return [.upload(offer, from: request.offset)]
    case (.request, .idle), (.request, .training), (.request, .fetching), (.request, .offering): return []
    case (.acknowledgement(let verdict), .offering(let offer)) where verdict.key == offer.key:
      phase = .idle
      return [.note(verdict), .drop(offer.key)]
    case (.acknowledgement, .idle), (.acknowledgement, .fetching), (.acknowledgement, .training),
      (.acknowledgement, .offering):
      return []  // The decision on a round that a newer assignment has replaced.
    case (.release(let release), _) where release.key == key:
      let actions = dropped
      phase = .idle
      return actions
    case (.release, _): return []
    case (.heartbeat, _): return []
    case (.goodbye(let goodbye), _):
      phase = .finished(goodbye)
      return [.finish(goodbye)]
    default: throw UnexpectedMessage("\(message.name) while \(phase.name)")
    }
  }

  /// Handles a version that is complete and whose digest matches.
  package mutating func hold(_ version: PartVersion) -> [Action] {
    guard case .fetching(let assignment, let missing) = phase, let first = missing.first else { return [] }
    let rest = missing.filter { $0.digest != version.digest }
    guard first.digest == version.digest else {
      // The first one is being fetched; requesting it again would transfer it twice.
      phase = .fetching(assignment, missing: rest)
      return []
    }
    return proceed(assignment, missing: rest)
  }

  /// Handles a complete version whose digest does not match: requests it again, a limited number of times.
  ///
  /// Throws ``UnexpectedMessage`` if the server repeatedly sends other bytes.
  package mutating func lose(_ lost: PartVersion) throws(UnexpectedMessage) -> [Action] {
    guard case .fetching(_, let missing) = phase, let version = missing.first, version.digest == lost.digest
    else { return [] }
    losses += 1
    guard losses <= Self.mostLosses else {
      throw UnexpectedMessage("bytes that do not match \(version.digest), \(losses) times")
    }
    return [.fetch(version)]
  }

  /// The maximum number of damaged layers per connection; the checksums of TCP and of frames make them very rare.
  private static let mostLosses = 3

  /// Handles the end of the training of a round.
  package mutating func finish(_ offer: UpdateOffer) -> [Action] {
    guard case .training(let assignment) = phase, assignment.key == offer.key else { return [] }
    phase = .offering(offer)
    return [.send(.offer(offer))]
  }

  /// Abandons the current work in any phase, with a reason. No effect if there is no work.
  package mutating func withdraw(_ reason: DeclineReason) -> [Action] {
    guard let key else { return [] }
    phase = .idle
    return [.halt(key), decline(key, reason)]
  }

  private func decline(_ key: RoundKey, _ reason: DeclineReason) -> Action {
    .send(.decline(Decline(key: key, reason: reason.reason, seconds: reason.seconds)))
  }

  /// The round of the current work.
  package var key: RoundKey? {
    switch phase {
    case .fetching(let assignment, _), .training(let assignment): assignment.key
    case .offering(let offer): offer.key
    case .greeting, .idle, .finished: nil
    }
  }

  private var dropped: [Action] { key.map { [.drop($0)] } ?? [] }

  private mutating func take(_ assignment: Assignment, holds: (PartVersion) -> Bool) -> [Action] {
    proceed(assignment, missing: assignment.lacking(holds))
  }

  private mutating func proceed(_ assignment: Assignment, missing: [PartVersion]) -> [Action] {
    phase = .fetching(assignment, missing: missing)
    if let next = missing.first { return [.fetch(next)] }
    return assignment.deltaChains == nil ? assemble(assignment, missing: []) : [.assemble(assignment)]
  }

  /// Handles the reconstruction of parts received as deltas. Parts that are `missing`, because their stored base was
  /// damaged, are fetched as layers.
  package mutating func assemble(_ assignment: Assignment, missing: [PartVersion]) -> [Action] {
    guard case .fetching(assignment, []) = phase else { return [] }
    guard missing.isEmpty else { return proceed(assignment, missing: missing) }
    phase = .training(assignment)
    return [.train(assignment)]
  }

  /// Handles a damaged layer that the training needs and that is no longer stored.
  ///
  /// Throws ``UnexpectedMessage`` if it happens repeatedly, which indicates a faulty disk.
  package mutating func miss(
    _ assignment: Assignment, holds: (PartVersion) -> Bool
  ) throws(UnexpectedMessage) -> [Action] {
    guard case .training(assignment) = phase else { return [] }
    losses += 1
    guard losses <= Self.mostLosses else {
      throw UnexpectedMessage("a damaged layer, \(losses) times")
    }
    return take(assignment, holds: holds)
  }

  private func store(
    _ head: LayerData, _ bytes: Data, _ assignment: Assignment, _ missing: [PartVersion]
  ) throws(UnexpectedMessage) -> [Action] {
    guard let version = missing.first(where: { $0.digest == head.digest }) else { return [] }
    guard head.total == version.bytes, head.offset >= 0, head.offset <= head.total - bytes.count else {
      throw UnexpectedMessage("\(bytes.count) bytes at \(head.offset) of \(version.name)'s \(version.bytes)")
    }
    return [.store(head, bytes)]
  }
}

/// A message that is not valid in the current phase.
package struct UnexpectedMessage: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

extension Message {
  /// The name of the message in docs/protocol.md.
  package var name: String {
    switch self {
    case .hello: "hello"
    case .fetch: "fetch"
    case .offer: "offer"
    case .update: "update"
    case .decline: "decline"
    case .enrol: "enrol"
    case .welcome: "welcome"
    case .assignment: "assignment"
    case .layer: "layer"
    case .request: "request"
    case .acknowledgement: "acknowledgement"
    case .release: "release"
    case .heartbeat: "heartbeat"
    case .goodbye: "goodbye"
    case .certificate: "certificate"
    }
  }
}

extension Participation.Phase {
  fileprivate var name: String {
    switch self {
    case .greeting: "greeting"
    case .idle: "idle"
    case .fetching: "fetching"
    case .training: "training"
    case .offering: "offering"
    case .finished: "finished"
    }
  }
}
