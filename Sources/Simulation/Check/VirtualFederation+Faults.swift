import Federation
import Foundation
import Wire

/// The faults, and their end.
extension VirtualFederation {
  /// Returns the reason of a client outside its hours, which may include the time left.
  func declineReason() -> DeclineReason {
    DeclineReason("check", seconds: moods.chance(0.5) ? 1 + moods.below(900) : nil)
  }

  func fault() {
    guard isFaulty else { return }
    let open = links.indices.filter { !links[$0].isCut }
    if moods.chance(0.15) {
      // The hours of a client end during its work.
      let client = clients[moods.below(clients.count)]
      if let link = client.link { perform(client.participation.withdraw(declineReason()), client, link) }
    }
    misbehave(open)
    switch random.below(10) {
    case 0..<4: if let link = open.randomElement(using: &random) { cut(link) }
    case 4:
      // A partition cuts half of the connections at once.
      for link in open where random.chance(0.5) { cut(link) }
    case 5, 6: crash(clients[random.below(clients.count)])
    case 7: crashServer()
    case 8:
      // A client loses half of some layers, as when the last block of its disk is lost.
      let client = clients[random.below(clients.count)]
      for digest in client.disk.keys.sorted(by: { $0.description < $1.description }) where random.chance(0.3)
      {
        client.disk[digest] = client.disk[digest].map { $0.prefix($0.count / 2) }
      }
    default:
      // A client repeats its last offer.
      let client = clients[random.below(clients.count)]
      if let (offer, _) = client.lastOffer, let link = client.link {
        send(.offer(offer), on: link, toServer: true)
      }
    }
    agenda.note(.fault, at: now + draw(1, 40))
  }

  /// Causes faults that the server must detect without being notified.
  private func misbehave(_ open: [Int]) {
    if moods.chance(0.1), let link = open.randomElement(using: &moods), !links[link].isDark {
      // The link drops everything and neither side is notified. The last check may be slightly late.
      links[link].isDark = true
      agenda.note(
        .noticed(link: link, serverLife: serverLife), at: now + Self.heartbeat * 3 + .milliseconds(1))
    }
    let client = clients[moods.below(clients.count)]
    if client.character != .honest, moods.chance(0.1), let link = client.link {
      // A client repeats an unwanted offer many times.
      let key = RoundKey(stage: 1, round: 1 + moods.below(1000), attempt: 1)
      let digest = Digest(of: Data())
      let offer = UpdateOffer(
        key: key, base: digest, digest: digest, bytes: 1, samples: 1, steps: 1, loss: 1, seconds: 1)
      for _ in 0..<200 { send(.offer(offer), on: link, toServer: true) }
    }
  }

  /// Makes a client that uploads hold back its last bytes, offer another update on a new connection, and then send the
  /// rest on the first. Returns whether it does.
  func keepsBack(_ rest: UpdateData, _ bytes: Data, _ client: VirtualClient, _ link: Int) -> Bool {
    guard isFaulty, moods.chance(0.03),
      let frame = try? Message.update(rest, bytes).frame().encoded()
    else { return false }
    let seconds = { [self] in Duration.milliseconds(17_000 + moods.below(9000)) }
    client.link = nil
    client.participation = Participation()
    (client.pendingUpdate, client.isLying) = (nil, true)
    agenda.note(.connect(client: client.number, life: client.life), at: now + seconds())
    agenda.note(.bytes(frame, link: link, toServer: true), at: now + seconds() + .seconds(2))
    return true
  }

  func crash(_ client: VirtualClient) {
    guard client.isUp else { return }
    client.isUp = false
    client.life += 1
    if let link = client.link { cut(link) }
    client.link = nil
    let back = now + draw(0.5, 60)
    agenda.note(.startClient(client.number), at: back)
    agenda.note(.connect(client: client.number, life: client.life), at: back)
  }

  /// Ends all faults and keeps a random quorum of honest clients connected; the others are gone.
  func heal() {
    isFaulty = false
    let honest = clients.filter { $0.character == .honest }
    let count = plan.round.quorum + random.below(honest.count - plan.round.quorum + 1)
    let kept = Set(honest.shuffled(using: &random).prefix(count).map(\.number))
    for client in clients {
      client.life += 1
      client.isLying = false
      if let link = client.link { cut(link) }
      client.link = nil
      client.isUp = kept.contains(client.number)
      if client.isUp {
        agenda.note(.connect(client: client.number, life: client.life), at: now + draw(0.1, 2))
      }
    }
    if server == nil { agenda.note(.startServer, at: now + draw(0.1, 1)) }
    // Time for a round that waits for clients that are gone, one that recruits in vain, and one that is tried.
    let deadline = plan.round.deadline.duration
    healing = (checker.rounds, now + deadline * 4 + .seconds(180))
  }
}
