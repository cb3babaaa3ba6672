import Foundation

/// The client's side of the protocol, as a value: what it heard and did goes in, actions come out.
package struct Participation: Sendable {
  package enum Phase: Sendable, Hashable {
    /// Hello is said, the welcome not yet heard.
    case greeting
    /// Waiting for an assignment.
    case idle
    /// Some parts of the assignment's model are not here yet; the first of them is on its way.
    case fetching(Assignment, missing: [PartVersion])
    case training(Assignment)
    /// An update is ready, and the server knows.
    case offering(UpdateOffer)
    case finished(Goodbye)
  }

  /// What the client is to do.
  package enum Action: Sendable, Hashable {
    case send(Message)
    /// Ask for a version, from where what is kept of it ends.
    case fetch(PartVersion)
    /// The plan is known: make ready for it.
    case prepare(Welcome)
    /// Keep a piece of a layer.
    case store(LayerData, Data)
    case train(Assignment)
    /// Put together those parts that came as differences, then ``assemble(_:missing:)``.
    case assemble(Assignment)
    /// The training under way, or the update that came of it, is not needed any more.
    case drop(RoundKey)
    /// Stop what is under way for a round. An update that is finished is kept: the round may be asked for again.
    case halt(RoundKey)
    /// Send the update's bytes from an offset on.
    case upload(UpdateOffer, from: Int)
    /// The server's verdict, for the log.
    case note(Acknowledgement)
    case finish(Goodbye)
  }

  package private(set) var phase = Phase.greeting
  private var losses = 0

  package init() {}

  /// The first action of a connection.
  package func greet(
    name: String, software: String, codecs: [UpdateCodec]? = nil, layers: [Digest]? = nil
  ) -> [Action] {
    [.send(.hello(Hello(name: name, software: software, codecs: codecs, layers: layers)))]
  }

  /// The server said something. `holds` tells which versions are kept here, `declines` why this client will
  /// not train in a round, or nil.
  ///
  /// Throws ``UnexpectedMessage`` where the server could not say that now.
  package mutating func hear(
    _ message: Message, holds: (PartVersion) -> Bool, declines: (RoundKey) -> DeclineReason? = { _ in nil }
  ) throws(UnexpectedMessage) -> [Action] {
    switch (message, phase) {
    case (.welcome(let welcome), .greeting):
      phase = .idle
      return [.prepare(welcome)]
    case (.assignment(let assignment), .idle), (.assignment(let assignment), .fetching),
      (.assignment(let assignment), .training), (.assignment(let assignment), .offering):
      // A new assignment means that the server has given up waiting for the old one.
      let actions = dropped
      guard let reason = declines(assignment.key) else { return actions + take(assignment, holds: holds) }
      phase = .idle
      return actions + [decline(assignment.key, reason)]
    case (.layer(let head, let bytes), .fetching(let assignment, let missing)):
      return try store(head, bytes, assignment, missing)
    case (.layer, .idle), (.layer, .training), (.layer, .offering):
      return []  // The tail of a transfer for a round that is over.
    case (.request(let request), .offering(let offer)) where request.digest == offer.digest:
      guard request.offset >= 0, request.offset <= offer.bytes else {
        throw UnexpectedMessage("a request from offset \(request.offset) of \(offer.bytes)")
      }
      return [.upload(offer, from: request.offset)]
    case (.request, .idle), (.request, .training), (.request, .fetching), (.request, .offering): return []
    case (.acknowledgement(let verdict), .offering(let offer)) where verdict.key == offer.key:
      phase = .idle
      return [.note(verdict), .drop(offer.key)]
    case (.acknowledgement, .idle), (.acknowledgement, .fetching), (.acknowledgement, .training),
      (.acknowledgement, .offering):
      return []  // The verdict on a round that a newer assignment has overtaken.
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

  /// The last missing byte of a version arrived and its digest is right.
  package mutating func hold(_ version: PartVersion) -> [Action] {
    guard case .fetching(let assignment, let missing) = phase, let first = missing.first else { return [] }
    let rest = missing.filter { $0.digest != version.digest }
    guard first.digest == version.digest else {
      // The first is still on its way; asking again would send it twice.
      phase = .fetching(assignment, missing: rest)
      return []
    }
    return proceed(assignment, missing: rest)
  }

  /// A version arrived, but its bytes are not those of its digest: it is fetched again, a few times.
  ///
  /// Throws ``UnexpectedMessage`` where the server keeps sending other bytes.
  package mutating func lose(_ lost: PartVersion) throws(UnexpectedMessage) -> [Action] {
    guard case .fetching(_, let missing) = phase, let version = missing.first, version.digest == lost.digest
    else { return [] }
    losses += 1
    guard losses <= Self.mostLosses else {
      throw UnexpectedMessage("other bytes than those of \(version.digest), \(losses) times")
    }
    return [.fetch(version)]
  }

  /// Times that a connection may bring damaged layers: TCP's checksums and the frame's leave next to none.
  private static let mostLosses = 3

  /// The training of a round is done.
  package mutating func finish(_ offer: UpdateOffer) -> [Action] {
    guard case .training(let assignment) = phase, assignment.key == offer.key else { return [] }
    phase = .offering(offer)
    return [.send(.offer(offer))]
  }

  /// This client gives up the work that is under way, at any point of it, and says why. Without work nothing
  /// is done.
  package mutating func withdraw(_ reason: DeclineReason) -> [Action] {
    guard let key else { return [] }
    phase = .idle
    return [.halt(key), decline(key, reason)]
  }

  private func decline(_ key: RoundKey, _ reason: DeclineReason) -> Action {
    .send(.decline(Decline(key: key, reason: reason.reason, seconds: reason.seconds)))
  }

  /// The round that work is under way for.
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

  /// What came as differences was put together. Parts that are `missing` could not be, because something that was held
  /// was damaged: they are fetched as they are.
  package mutating func assemble(_ assignment: Assignment, missing: [PartVersion]) -> [Action] {
    guard case .fetching(assignment, []) = phase else { return [] }
    guard missing.isEmpty else { return proceed(assignment, missing: missing) }
    phase = .training(assignment)
    return [.train(assignment)]
  }

  /// A layer that the training needs turned out to be damaged, and is not held any more.
  ///
  /// Throws ``UnexpectedMessage`` where that keeps happening: then it is the disk.
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

/// The peer said something that it could not say then.
package struct UnexpectedMessage: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

extension Message {
  /// What the message is called in docs/protocol.md.
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
