import Federation
import Foundation
import Server
import Wire

/// The server's side without threads and sockets: the real leader, conversations and store, driven by virtual
/// time. A crash loses everything but the files.
final class VirtualServer {
  /// What follows for the world.
  enum Consequence {
    case send(Message, link: Int)
    case hangUp(link: Int)
    /// Do this after some time: what takes long beside the leader.
    case later((VirtualServer, Duration) -> [Consequence])
    case ended
  }

  let plan: Plan
  let store: Store
  let leader: Leader
  private let checker: Checker
  private let job: JobRecord
  private var conversations: [Int: Conversation] = [:]
  private var links: [String: Int] = [:]
  private(set) var hasEnded = false
  private(set) var isDone = false

  init(_ plan: Plan, path: String, _ checker: Checker, at now: Duration, date: @escaping () -> Date) throws {
    (self.plan, self.checker) = (plan, checker)
    // Nothing passes while the lock of another is waited for.
    store = try Store(path, patience: 0)
    job = try store.openJob(plan, at: date())
    leader = try Leader(plan, store: store, at: now, date: date)
  }

  func advance(at now: Duration) -> [Consequence] { follow(leader.advance(at: now)) }

  func accept(_ link: Int) { conversations[link] = Conversation() }

  /// A connection is gone.
  func lose(_ link: Int, at now: Duration) -> [Consequence] {
    guard let conversation = conversations.removeValue(forKey: link) else { return [] }
    guard let client = conversation.client, links[client] == link else { return [] }
    links[client] = nil
    return follow(leader.leave(client, at: now))
  }

  func hear(_ message: Message, on link: Int, at now: Duration) -> [Consequence] {
    guard var conversation = conversations[link] else { return [] }
    do {
      let actions = try conversation.hear(message)
      conversations[link] = conversation
      return try actions.flatMap { try perform($0, link, at: now) }
    } catch {
      return [.hangUp(link: link)] + lose(link, at: now)
    }
  }

  private func perform(_ action: Conversation.Action, _ link: Int, at now: Duration) throws -> [Consequence] {
    if case .join(let hello) = action {
      var consequences: [Consequence] = []
      if let other = links[hello.name] {
        consequences += [.hangUp(link: other)] + lose(other, at: now)
      }
      links[hello.name] = link
      conversations[link]?.admit(hello.name)
      return consequences + follow(leader.join(hello, at: now))
    }
    guard let client = conversations[link]?.client else { return [] }
    switch action {
    case .join, .enrol, .heartbeat: return []
    case .serve(let fetch):
      guard let weights = leader.weights(fetch.digest) else { return [] }
      guard (0...weights.count).contains(fetch.offset) else { throw UnexpectedMessage("a fetch") }
      let layer = OutgoingLayer(fetch.digest, weights)
      return layer.offsets(from: fetch.offset).map { .send(layer.message(at: $0), link: link) }
    case .decline(let decline): return follow(leader.take(decline, from: client, at: now))
    case .consider(let offer):
      guard leader.wants(offer, from: client) else {
        return follow(leader.judge(offer, isHere: false, fault: nil, from: client, at: now))
      }
      return try request(offer, client, link, at: now)
    case .write(let bytes, let offset, let offer):
      try store.updates.open(offer, from: client).write(bytes, at: offset)
      return []
    case .finish(let offer, let wasResumed):
      let check = leader.check(offer, from: client)
      let fault = check == nil ? .wrongRound : try check?.refusal(in: store.updates, from: client)
      if fault == .wrongDigest && wasResumed {
        store.updates.discard(offer, from: client)
        return try request(offer, client, link, at: now)
      }
      return follow(leader.judge(offer, isHere: true, fault: fault, from: client, at: now))
    }
  }

  private func request(
    _ offer: UpdateOffer, _ client: String, _ link: Int, at now: Duration
  ) throws -> [Consequence] {
    guard
      let (request, actions) = conversations[link]?.begin(offer, at: store.updates.begin(offer, from: client))
    else { return [] }
    return [.send(request, link: link)] + (try actions.flatMap { try perform($0, link, at: now) })
  }

  /// What the leader says.
  private func follow(_ effects: [Leader.Effect]) -> [Consequence] {
    var consequences: [Consequence] = []
    for effect in effects {
      switch effect {
      case .send(let message, let client):
        if case .acknowledgement(let verdict) = message, verdict.refusal == nil {
          checker.acknowledge(verdict.key, to: client, store)
        }
        if let link = links[client] { consequences.append(.send(message, link: link)) }
      case .note(.admitted(let key, let client, _)): checker.admit(key, client)
      case .note(.folded(let key, let client, let offer)): checker.fold(offer.key, into: key, client)
      case .note(.committed): checker.commit(store, job)
      case .note(let event): checker.note(event, store)
      case .aggregate(let aggregator):
        consequences.append(
          .later { server, now in
            do {
              return server.follow(server.leader.finishAggregation(try aggregator.run(threads: 1), at: now))
            } catch {
              return server.follow(server.leader.stop(because: error))
            }
          })
      case .calibrate(let draft, _):
        consequences.append(
          .later { server, now in server.follow(server.leader.finishCalibration(draft, loss: 1, at: now)) })
      case .end(let result, let goodbye):
        hasEnded = true
        if case .success = result { isDone = true }
        for link in links.values.sorted() { consequences.append(.send(.goodbye(goodbye), link: link)) }
        consequences.append(.ended)
      }
    }
    return consequences
  }
}
