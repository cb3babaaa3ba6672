import Engine
import Federation
import Foundation
import Wire

/// The events of clients.
extension JobEngine {
  /// Admits a client whose name is free. The welcome is its first effect.
  package func join(_ hello: Hello, at now: Duration) -> [Effect] {
    returning {
      try store.join(hello, at: date())
      present.insert(hello.name)
      away[hello.name] = nil
      let isCoding = hello.codecs?.contains(plan.traffic.codec.rawValue) ?? false
      codecs[hello.name] = isCoding ? plan.traffic.codec : nil
      // A client without codecs gets no delta chains.
      holdings[hello.name] = hello.codecs == nil ? nil : Set((hello.layers ?? []).prefix(Hello.mostLayers))
      send(
        .welcome(
          Welcome(
            plan: plan, heartbeatSeconds: heartbeat.seconds,
            chunkBytes: WireLimits.chunk(clients: plan.round.cohort + plan.round.overSelection))),
        to: hello.name)
      try perform(round.join(hello.name, at: now), at: now)
      proceed(at: now)
    }
  }

  /// Handles the end of a client's connection.
  package func leave(_ client: String, at now: Duration) -> [Effect] {
    returning {
      present.remove(client)
      forget(client)
      round.leave(client)
      proceed(at: now)
    }
  }

  /// Handles a decline: another client is asked instead, and the attempt does not fail.
  package func take(_ decline: Decline, from client: String, at now: Duration) -> [Effect] {
    returning {
      let until = decline.seconds.map { now + .seconds(min(max($0, 1), Self.longestAbsence)) }
      if decline.key == round.late?.key {
        round.dropLate(client)
      } else {
        guard decline.key == round.key, round.decline(client, until: until) else { return }
        try store.decline(client, of: roundRecord)
      }
      if let until { away[client] = (String(decline.reason.prefix(200)), until) }
      note(.declined(decline.key, client: client, reason: String(decline.reason.prefix(200))))
      proceed(at: now)
    }
  }

  /// The maximum seconds until a client that declined is asked again, in case its clock was wrong.
  private static let longestAbsence = 86_400

  /// Returns whether an offered update's bytes are wanted, judged without them. Changes nothing: the caller knows which
  /// bytes it has and requests the rest.
  package func wants(_ offer: UpdateOffer, from client: String) -> Bool {
    !round.hasAdmitted(offer, from: client) && round.rejection(of: offer, from: client) == nil
  }

  /// Returns the check for an update's bytes; nil if its round is over and the data for the check is gone.
  package func check(_ offer: UpdateOffer, from client: String) -> UpdateCheck? {
    if offer.key == round.key { return UpdateCheck(plan, stages, offer, from: client, base: snapshot) }
    guard let previous, offer.key == round.late?.key else { return nil }
    return UpdateCheck(plan, stages, offer, from: client, base: previous)
  }

  /// Decides on an offered update that is unwanted, or whose bytes have all arrived with the result `fault`. Stores the
  /// verdict before sending it.
  package func judge(
    _ offer: UpdateOffer, isHere: Bool, fault: Rejection?, from client: String, at now: Duration
  ) -> [Effect] {
    returning { try decide(offer, isHere: isHere, fault: fault, from: client, at: now) }
  }

  func decide(
    _ offer: UpdateOffer, isHere: Bool, fault: Rejection?, from client: String, at now: Duration
  ) throws {
    if round.hasAdmitted(offer, from: client) {
      store.updates.discard(offer, from: client)
      return acknowledge(offer, client, nil)
    }
    if let rejection = round.rejection(of: offer, from: client) ?? fault {
      return try reject(offer, from: client, rejection, at: now)
    }
    // A deferred update may have been replaced meanwhile.
    guard isHere, store.updates.holds(offer, from: client) else { return }
    if round.comesBetween(offer, from: client) {
      deferred.removeAll { $0.client == client }
      return deferred.append((offer, client))
    }
    consecutiveRejections[client] = 0
    if round.isLate(offer, from: client) {
      try fold(offer, from: client, at: now)
    } else {
      try store.admit(offer, from: client, to: roundRecord, at: date())
      round.admit(offer, from: client)
      if offer.isEmpty { exhausted.insert(client) }
      note(.admitted(round.key, client: client, offer))
    }
    acknowledge(offer, client, nil)
    proceed(at: now)
  }

  private func fold(_ offer: UpdateOffer, from client: String, at now: Duration) throws {
    guard let previous, let check = check(offer, from: client) else {
      preconditionFailure("a late update, and no model that it is of")
    }
    let values = try check.values(try store.updates.arrived(offer, from: client).bytes())
    let late = LateUpdate(old: previous, new: snapshot).rebased(offer, values, to: round.key)
    try store.admit(late.offer, late.bytes, from: client, to: roundRecord, at: date())
    store.updates.discard(offer, from: client)
    round.admitLate(late.offer, from: client, at: now)
    note(.folded(round.key, client: client, offer))
  }

  private func reject(
    _ offer: UpdateOffer, from client: String, _ rejection: Rejection, at now: Duration
  ) throws {
    rejections[client, default: 0] += 1
    // A rejection that costs a client its place must be known after a restart.
    let isDecisive = offer.key == round.key ? round.isOutstanding(client) : round.isLate(offer, from: client)
    if isDecisive || rejections[client, default: 0] <= Self.mostRecorded {
      try store.reject(offer, from: client, to: roundRecord, rejection, at: date())
      note(.rejected(offer.key, client: client, rejection))
    } else {
      store.updates.discard(offer, from: client)
    }
    if offer.key == round.key {
      round.reject(client, diverged: rejection.isDivergence)
      countRejection(client)
    } else if round.isLate(offer, from: client) {
      round.dropLate(client)
      countRejection(client)
    }
    acknowledge(offer, client, rejection)
    proceed(at: now)
  }

  /// Sends the verdict before its consequences, such as the next assignment.
  private func acknowledge(_ offer: UpdateOffer, _ client: String, _ rejection: Rejection?) {
    send(.acknowledgement(Acknowledgement(key: offer.key, rejection: rejection)), to: client)
  }
}

/// The model of a committed round, which clients may validate in the next one.
struct ValidatedModel {
  let round: RoundRecord
  /// The numbers of blocks before its exits.
  let depths: [Int]

  init(_ round: RoundRecord, _ stage: Stage) {
    (self.round, depths) = (round, EarlyExits.depths(of: stage.model))
  }
}

/// The clients' validations.
extension JobEngine {
  /// Stores a client's validation of the model that an assignment has brought. Ignores one that does not belong to the
  /// client's last assignment or does not have its exits.
  package func take(_ validation: Validation, from client: String) -> [Effect] {
    returning {
      guard !hasEnded, let (key, model) = validations[client], key == validation.key else { return }
      validations[client] = nil
      let depths = EarlyExits.depths(of: stages.stage(key, client: client).model)
      guard validation.correct.count == depths.count else { return }
      // In the first round of a stage, the new exits are untrained and do not belong to the committed model.
      let exits = zip(depths, validation.correct).filter { model.depths.contains($0.0) }
      try store.note(
        validation, at: exits.map { (depth: $0, correct: $1) }, from: client, of: model.round)
      note(.validated(key, client: client, validation))
    }
  }
}

/// The rejected clients, and the consequences.
extension JobEngine {
  /// The rejections in a row after which a client rests, and the committed rounds for which it does.
  static let mostConsecutiveRejections = 3
  static let restRounds = 5
  /// The rejections of a client that an attempt at a round stores and logs, apart from the one that costs its place in
  /// the round and that of its late update. Further ones are only answered.
  package static let mostRecorded = 8
  /// The number of absent clients whose history is kept. Without certificates, peers can choose any names.
  private static let mostRemembered = 4096

  /// Counts a rejected update of a client.
  func countRejection(_ client: String) {
    consecutiveRejections[client, default: 0] += 1
    guard consecutiveRejections[client] == Self.mostConsecutiveRejections else { return }
    consecutiveRejections[client] = 0
    rests[client] = Self.restRounds
    note(.rests(client: client, rounds: Self.restRounds))
  }

  /// Removes the connection data of a client that has left, and the history of absent clients if it grows too large.
  func forget(_ client: String) {
    (codecs[client], holdings[client]) = (nil, nil)
    let isKept = { [present] (name: String) in present.contains(name) }
    if consecutiveRejections.count > Self.mostRemembered {
      consecutiveRejections = consecutiveRejections.filter { isKept($0.key) }
    }
    if rests.count > Self.mostRemembered { rests = rests.filter { isKept($0.key) } }
    if away.count > Self.mostRemembered { away = away.filter { isKept($0.key) } }
    if validations.count > Self.mostRemembered { validations = validations.filter { isKept($0.key) } }
    if rejections.count > Self.mostRemembered { rejections = rejections.filter { isKept($0.key) } }
  }

  /// Reduces the remaining rounds of resting clients after a committed round.
  func restsPass() { rests = rests.mapValues { $0 - 1 }.filter { $0.value > 0 } }
}
