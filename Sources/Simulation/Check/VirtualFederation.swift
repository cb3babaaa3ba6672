import Engine
import Federation
import Foundation
import Server
import Support
import Wire

/// A federation on one thread under virtual time, with faults drawn from a seed. After a phase with any faults, a
/// random quorum stays connected and the next round must commit.
final class VirtualFederation {
  enum Event {
    case bytes(Data, link: Int, toServer: Bool)
    /// One side notices that a connection is lost.
    case loss(link: Int, atServer: Bool)
    case connect(client: Int, life: Int)
    case trained(client: Int, life: Int, Assignment)
    /// A sleeping task of the server wakes.
    case wake(sleeper: Int, life: Int)
    /// A client sends a heartbeat, and disconnects if the server was silent for too long.
    case beat(client: Int, link: Int)
    /// Both sides must have noticed by now that a link is dark.
    case noticed(link: Int, serverLife: Int)
    case startServer
    case startClient(Int)
    case fault
    case heal
  }

  let plan: Plan
  let clients: [VirtualClient]
  let checker: Checker
  /// Gets every frame sent.
  var observer: (Data) -> Void = { _ in }
  private let path: String
  private let start = Date(timeIntervalSince1970: 1_700_000_000)
  var agenda = Agenda<Event>()
  var random: RandomNumbers
  /// A separate generator, so that declines do not change the other events of a seed.
  var moods: RandomNumbers
  var links: [VirtualLink] = []
  var server: VirtualServer?
  var serverLife = 0
  var now = Duration.zero
  var events = 0
  /// Whether faults occur.
  var isFaulty = true
  /// The number of committed rounds when the faults ended, and the time by which there must be another.
  var healing: (rounds: Int, until: Duration)?
  var isDone = false

  init(seed: UInt64, folder: URL) {
    random = RandomNumbers(seed, "federation")
    moods = RandomNumbers(seed, "moods")
    plan = Self.plan(&random, seed: seed)
    var numbers = random
    let cohort = plan.round.cohort
    clients = (0..<plan.round.minimumClients).map { number in
      // Enough honest clients for every cohort, and some faulty ones.
      let isHonest = number < cohort || numbers.chance(0.5)
      let character = isHonest ? .honest : VirtualClient.Character.allCases.randomElement(using: &numbers)!
      return VirtualClient(number, samples: 1 + numbers.below(1000), character: character)
    }
    random = numbers
    let controller = Self.controller(plan, seed: seed)
    checker = Checker(plan, clients, controller)
    if let controller {
      do {
        try controller.encoded().write(to: folder.appendingPathComponent("controller.json"))
      } catch {
        checker.require(false, "the controller cannot be written: \(error)")
      }
    }
    path = folder.appendingPathComponent("strata.sqlite").path
    agenda.note(.startServer, at: .zero)
    for client in clients { agenda.note(.connect(client: client.number, life: 0), at: draw(0.1, 20)) }
    agenda.note(.fault, at: draw(1, 30))
    agenda.note(.heal, at: draw(100, 600))
  }

  func draw(_ low: Float, _ high: Float) -> Duration {
    .milliseconds(Int(1000 * random.uniform(low, high)))
  }

  /// Runs to the end; the checker has the result.
  func run() {
    while checker.failure == nil && !isDone, let (time, event) = agenda.next() {
      (now, checker.now) = (time, time)
      events += 1
      handle(event)
      if let healing {
        if checker.rounds > healing.rounds { return }
        checker.require(now < healing.until, "no round was committed by \(healing.until) after healing")
      }
    }
    checker.require(isDone || healing != nil, "no event follows \(now)")
    if healing.map({ checker.rounds <= $0.rounds }) ?? false {
      checker.require(isDone, "no event follows \(now), and no round was committed after healing")
    }
  }
}

// MARK: - Events

extension VirtualFederation {
  func handle(_ event: Event) {
    switch event {
    case .bytes(let bytes, let link, let toServer): arrive(bytes, link, toServer: toServer)
    case .loss(let link, let atServer):
      if atServer {
        server?.lose(link)
      } else {
        disconnect(clients[links[link].client], link)
      }
    case .connect(let client, let life): connect(clients[client], life)
    case .trained(let client, let life, let assignment): finish(clients[client], life, assignment)
    case .wake(let sleeper, let life): if life == serverLife { server?.wake(sleeper) }
    case .beat(let client, let link): beat(clients[client], link)
    case .noticed(let link, let life):
      checker.require(
        life != serverLife || server?.holds(link) != true,
        "the server has not noticed that link \(link) is silent")
    case .startServer: startServer()
    case .startClient(let number): clients[number].isUp = true
    case .fault: fault()
    case .heal: heal()
    }
    letServerWork()
  }

  func arrive(_ bytes: Data, _ link: Int, toServer: Bool) {
    guard !links[link].isCut, !links[link].isDark else { return }
    guard !toServer else {
      server?.arrive(bytes, on: link)
      return
    }
    do {
      for message in try links[link].receive(bytes) { hear(message, clients[links[link].client], link) }
    } catch {
      checker.require(false, "a frame that was sent is not understood: \(error)")
    }
  }

  func send(_ message: Message, on link: Int, toServer: Bool) {
    guard !links[link].isCut else { return }
    guard let bytes = try? message.frame().encoded() else {
      return checker.require(false, "\(message.name) cannot be encoded")
    }
    send(bytes, on: link, toServer: toServer)
  }

  func send(_ bytes: Data, on link: Int, toServer: Bool) {
    guard !links[link].isCut, !links[link].isDark else { return }
    observer(bytes)
    // A stream may be split anywhere.
    let split = random.below(bytes.count)
    for part in [bytes.prefix(split), bytes.dropFirst(split)] where !part.isEmpty {
      let delay = isFaulty && random.chance(0.05) ? draw(1, 30) : draw(0.001, 0.2)
      let time = links[link].arrival(toServer: toServer, at: now, delay: delay)
      agenda.note(.bytes(Data(part), link: link, toServer: toServer), at: time)
    }
  }

  func cut(_ link: Int) {
    guard !links[link].isCut else { return }
    links[link].cut()
    agenda.note(.loss(link: link, atServer: true), at: now + draw(0.01, isFaulty ? 30 : 1))
    agenda.note(.loss(link: link, atServer: false), at: now + draw(0.01, isFaulty ? 30 : 1))
  }
}

// MARK: - The server

extension VirtualFederation {
  func startServer() {
    guard server == nil, !isDone else { return }
    serverLife += 1
    let life = serverLife
    let world = VirtualRuntime.World(
      now: { [unowned self] in now }, date: { [unowned self] in start.addingTimeInterval(now.seconds) },
      wake: { [unowned self] in agenda.note(.wake(sleeper: $0, life: life), at: max($1, now)) },
      computing: { [unowned self] in draw(0.01, 5) }, accessing: { [unowned self] in draw(0.001, 0.5) })
    do {
      server = try VirtualServer(plan, path: path, world) { [unowned self] event, store in
        // Ignores the events of a crashed server.
        if life == serverLife && server != nil { note(event, store) }
      }
    } catch {
      checker.require(false, "the server does not start: \(error)")
    }
  }

  private func note(_ event: ServerEvent, _ store: Store) {
    switch event {
    case .admitted(let key, let client, _): checker.admit(key, client)
    case .folded(let key, let client, let offer): checker.fold(offer.key, into: key, client)
    case .committed: checker.commit(store)
    default: checker.note(event, store)
    }
  }

  /// Runs the ready tasks of the server; it may crash before each.
  private func letServerWork() {
    guard let server else { return }
    // Sometimes nothing can be stored, as on a full disk.
    let lock = isFaulty && random.chance(0.001) ? StoreLock(path) : nil
    repeat {
      if isFaulty && random.chance(0.0002) {
        lock?.release()
        return crashServer()
      }
    } while server.step()
    lock?.release()
    guard let ending = server.ending else { return }
    if case .success = ending { isDone = true }
    // The job failed, or the store did: the operator restarts the server.
    crashServer()
  }

  /// Releases the server's resources, since thousands of federations run in one process.
  func end() {
    let last = server
    server = nil
    last?.crash()
  }

  func crashServer() {
    guard let crashed = server else { return }
    server = nil
    crashed.crash()
    for link in links.indices where !links[link].isCut { cut(link) }
    guard !isDone else { return }
    agenda.note(.startServer, at: now + draw(0.1, isFaulty ? 40 : 1))
  }
}

// MARK: - Clients

extension VirtualFederation {
  func connect(_ client: VirtualClient, _ life: Int) {
    guard client.isUp, client.life == life, client.link == nil else { return }
    guard let server else {
      return agenda.note(.connect(client: client.number, life: life), at: now + draw(0.1, 5))
    }
    let link = links.count
    links.append(VirtualLink(client: client.number))
    client.link = link
    client.participation = Participation()
    client.lastHeard = now
    server.accept(
      link,
      VirtualConnection(
        peer: client.name, now: { [unowned self] in now },
        sending: { [unowned self] message, bytes in
          if case .acknowledgement(let verdict) = message, verdict.rejection == nil, let server = self.server
          {
            checker.acknowledge(verdict.key, to: client.name, server.store)
          }
          send(bytes, on: link, toServer: false)
        }, closing: { [unowned self] in cut(link) }))
    agenda.note(.beat(client: client.number, link: link), at: now + Self.heartbeat)
    perform(
      client.participation.greet(name: client.name, software: "check", codecs: UpdateCoding.all), client, link
    )
  }

  static let heartbeat = Duration.seconds(WireLimits.heartbeatSeconds)

  private func beat(_ client: VirtualClient, _ link: Int) {
    guard client.link == link else { return }
    guard now - client.lastHeard < Self.heartbeat * 3 else {
      // The client closes the link and notices that at once.
      links[link].cut()
      agenda.note(.loss(link: link, atServer: true), at: now + draw(0.01, 1))
      return disconnect(client, link)
    }
    send(.heartbeat(Heartbeat()), on: link, toServer: true)
    agenda.note(.beat(client: client.number, link: link), at: now + Self.heartbeat)
  }

  func disconnect(_ client: VirtualClient, _ link: Int) {
    guard client.link == link else { return }
    client.link = nil
    client.participation = Participation()
    if client.isUp {
      agenda.note(.connect(client: client.number, life: client.life), at: now + draw(0.1, 5))
    }
  }

  func hear(_ message: Message, _ client: VirtualClient, _ link: Int) {
    guard client.link == link else { return }
    client.lastHeard = now
    if case .acknowledgement(let verdict) = message, verdict.rejection == nil {
      checker.hear(verdict.key, client)
    }
    do {
      // A client may also be outside its hours when it is asked.
      let reason = isFaulty && moods.chance(0.05) ? declineReason() : nil
      perform(
        try client.participation.hear(message, holds: client.holds, declines: { _ in reason }), client,
        link)
    } catch {
      checker.require(false, "\(client.name) does not expect \(message.name): \(error)")
    }
  }

  func perform(_ actions: [Participation.Action], _ client: VirtualClient, _ link: Int) {
    for action in actions {
      switch action {
      case .send(let message): send(message, on: link, toServer: true)
      case .fetch(let version):
        let fetch = Fetch(digest: version.digest, offset: client.disk[version.digest]?.count ?? 0)
        send(.fetch(fetch), on: link, toServer: true)
      case .store(let head, let bytes):
        guard let isRight = client.store(head, bytes) else { continue }
        let version = PartVersion(name: "", digest: head.digest, bytes: head.total)
        if isRight {
          perform(client.participation.hold(version), client, link)
        } else {
          checker.require(false, "\(client.name) receives bytes that do not match \(head.digest)")
        }
      case .assemble(let assignment):
        perform(client.participation.assemble(assignment, missing: []), client, link)
      case .train(let assignment): train(client, assignment, link)
      case .drop(let key): if client.pendingUpdate?.offer.key == key { client.pendingUpdate = nil }
      case .upload(let offer, let offset): upload(offer, from: offset, client, link)
      case .prepare, .note, .halt: break
      case .finish: cut(link)
      }
    }
  }

  func train(_ client: VirtualClient, _ assignment: Assignment, _ link: Int) {
    if let (offer, _) = client.pendingUpdate, offer.key == assignment.key,
      offer.base == Snapshot.base(of: assignment.parts)
    {
      return perform(client.participation.finish(offer), client, link)
    }
    guard client.begin(assignment) else { return crash(client) }
    let time = isFaulty && random.chance(0.2) ? draw(10, 120) : draw(0.5, 10)
    agenda.note(.trained(client: client.number, life: client.life, assignment), at: now + time)
  }

  func finish(_ client: VirtualClient, _ life: Int, _ assignment: Assignment) {
    guard client.isUp, client.life == life else { return }
    guard case .training(assignment) = client.participation.phase, let link = client.link else { return }
    let update = client.train(assignment, plan)
    client.pendingUpdate = update
    client.lastOffer = update
    if update.offer.key != assignment.key {
      // A faulty client's message, which the real participation would not send.
      return send(.offer(update.offer), on: link, toServer: true)
    }
    perform(client.participation.finish(update.offer), client, link)
  }

  func upload(_ offer: UpdateOffer, from offset: Int, _ client: VirtualClient, _ link: Int) {
    guard let (kept, bytes) = client.pendingUpdate, kept == offer else { return }
    var offset = offset
    while offset < bytes.count {
      let end = min(offset + 1 + random.below(bytes.count), bytes.count)
      let (head, piece) = (UpdateData(digest: offer.digest, offset: offset), Data(bytes[offset..<end]))
      if end == bytes.count, keepsBack(head, piece, client, link) { return }
      send(.update(head, piece), on: link, toServer: true)
      offset = end
    }
  }
}
