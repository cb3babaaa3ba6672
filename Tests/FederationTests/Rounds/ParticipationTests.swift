import Engine
import Federation
import Foundation
import Testing

@Suite struct ParticipationTests {
  private let key = RoundKey(stage: 1, round: 2)
  private let welcome = Welcome(
    plan: Plan(encoder: EncoderConfiguration(image: 32, patch: 4, width: 96, depth: 4, heads: 3)),
    heartbeatSeconds: 10, chunkBytes: 1024)

  private func part(_ name: String, bytes: Int = 8) -> PartVersion {
    PartVersion(name: name, digest: Digest(label: name), bytes: bytes)
  }

  private func assignment(_ parts: [PartVersion], key: RoundKey? = nil) -> Assignment {
    Assignment(key: key ?? self.key, seed: 5, schedule: .whole, parts: parts, trained: ["projector"])
  }

  private func fetch(_ part: PartVersion) -> Participation.Action {
    .fetch(part)
  }

  private func layer(_ part: PartVersion, offset: Int = 0, total: Int? = nil, _ count: Int) -> Message {
    .layer(
      LayerData(digest: part.digest, offset: offset, total: total ?? part.bytes), Data(count: count))
  }

  private func idle() throws -> Participation {
    var client = Participation()
    _ = try client.hear(.welcome(welcome)) { _ in false }
    return client
  }

  private func training() throws -> Participation {
    var client = try idle()
    _ = try client.hear(.assignment(assignment([part("stem")]))) { _ in true }
    return client
  }

  private func offering() throws -> (Participation, UpdateOffer) {
    var client = try training()
    let offer = UpdateOffer.example(key: key)
    _ = client.finish(offer)
    return (client, offer)
  }

  @Test func goesThroughAWholeRound() throws {
    let parts = [part("stem"), part("blocks.0"), part("projector")]
    let work = assignment(parts)
    var client = Participation()
    #expect(client.greet(name: "a", software: "test") == [.send(.hello(Hello(name: "a", software: "test")))])
    #expect(client.phase == .greeting && client.key == nil)
    #expect(try client.hear(.welcome(welcome)) { _ in false } == [.prepare(welcome)])
    #expect(client.phase == .idle)
    #expect(try client.hear(.assignment(work)) { _ in false } == [fetch(parts[0])])
    #expect(client.phase == .fetching(work, missing: parts) && client.key == key)
    for (index, part) in parts.enumerated() {
      for offset in [0, 4] {
        let message = layer(part, offset: offset, 4)
        guard case .layer(let head, let bytes) = message else { return }
        #expect(try client.hear(message) { _ in false } == [.store(head, bytes)])
      }
      #expect(client.hold(part) == (index < 2 ? [fetch(parts[index + 1])] : [.train(work)]))
    }
    #expect(client.phase == .training(work))
    let offer = UpdateOffer.example(key: key)
    #expect(client.finish(offer) == [.send(.offer(offer))])
    #expect(client.phase == .offering(offer) && client.key == key)
    let request = UpdateRequest(key: key, digest: offer.digest, offset: 16)
    #expect(try client.hear(.request(request)) { _ in true } == [.upload(offer, from: 16)])
    let verdict = Acknowledgement(key: key)
    #expect(
      try client.hear(.acknowledgement(verdict)) { _ in true } == [.note(verdict), .drop(key)])
    #expect(client.phase == .idle && client.key == nil)
    let goodbye = Goodbye(.finished)
    #expect(try client.hear(.goodbye(goodbye)) { _ in true } == [.finish(goodbye)])
    #expect(client.phase == .finished(goodbye))
  }

  @Test func fetchesOnlyWhatItLacks() throws {
    var client = try idle()
    let parts = [part("stem"), part("blocks.0"), part("blocks.1"), part("norm")]
    let held = Set([parts[0], parts[2]])
    #expect(try client.hear(.assignment(assignment(parts)), holds: held.contains) == [fetch(parts[1])])
    #expect(client.hold(parts[1]) == [fetch(parts[3])])
    #expect(client.hold(parts[3]) == [.train(assignment(parts))])
    client = try idle()
    #expect(try client.hear(.assignment(assignment(parts))) { _ in true } == [.train(assignment(parts))])
  }

  @Test func fetchesEqualPartsOnce() throws {
    var client = try idle()
    let below = part("blocks.0")
    let above = PartVersion(name: "blocks.1", digest: below.digest, bytes: below.bytes)
    let work = assignment([below, above])
    #expect(try client.hear(.assignment(work)) { _ in false } == [fetch(below)])
    #expect(client.hold(below) == [.train(work)])
  }

  @Test func fetchesACorruptLayerAgain() throws {
    var client = try idle()
    let parts = [part("stem"), part("norm")]
    _ = try client.hear(.assignment(assignment(parts))) { _ in false }
    #expect(try client.lose(parts[0]) == [fetch(parts[0])])
    #expect(client.phase == .fetching(assignment(parts), missing: parts))
    #expect(client.hold(parts[0]) == [fetch(parts[1])])
    #expect(try client.lose(parts[0]) == [], "it is not on its way any more")
    #expect(try client.lose(parts[1]) == [fetch(parts[1])])
    #expect(client.hold(parts[1]) == [.train(assignment(parts))])
  }

  @Test func doesNotFetchADamagedLayerForEver() throws {
    var client = try idle()
    _ = try client.hear(.assignment(assignment([part("stem")]))) { _ in false }
    for _ in 0..<3 { #expect(try client.lose(part("stem")) == [fetch(part("stem"))]) }
    #expect(throws: UnexpectedMessage.self) { try client.lose(part("stem")) }
  }

  @Test func holdingALaterLayerDoesNotAskForTheFirstAgain() throws {
    var client = try idle()
    let parts = [part("stem"), part("norm")]
    _ = try client.hear(.assignment(assignment(parts))) { _ in false }
    #expect(client.hold(parts[1]) == [])
    #expect(client.hold(parts[0]) == [.train(assignment(parts))])
  }

  @Test func ignoresALateVerdictOnAnEarlierRound() throws {
    var (client, offer) = try offering()
    let late = Acknowledgement(key: offer.key.nextAttempt)
    #expect(try client.hear(.acknowledgement(late)) { _ in true } == [])
    #expect(client.phase == .offering(offer))
  }

  @Test func rejectsLayerDataOutOfBounds() throws {
    let stem = part("stem", bytes: 8)
    for (offset, total, count) in [
      (0, 9, 8), (0, 7, 7), (-1, 8, 4), (5, 8, 4), (9, 8, 0), (0, 8, 9), (.max, 8, 1), (.min, 8, 1),
    ] {
      var client = try idle()
      _ = try client.hear(.assignment(assignment([stem]))) { _ in false }
      #expect(throws: UnexpectedMessage.self, "\(count) bytes at \(offset) of \(total)") {
        try client.hear(layer(stem, offset: offset, total: total, count)) { _ in false }
      }
    }
  }

  @Test func ignoresLayersOfWorkThatIsOver() throws {
    var client = try idle()
    #expect(try client.hear(layer(part("old"), 8)) { _ in false } == [])
    _ = try client.hear(.assignment(assignment([part("stem")]))) { _ in false }
    #expect(try client.hear(layer(part("old"), 8)) { _ in false } == [])
    client = try training()
    #expect(try client.hear(layer(part("stem"), 8)) { _ in false } == [])
  }

  @Test func aNewAssignmentDropsTheOld() throws {
    let next = assignment([part("stem"), part("norm")], key: key.nextAttempt)
    var fetching = try idle()
    _ = try fetching.hear(.assignment(assignment([part("stem")]))) { _ in false }
    for var client in [fetching, try training(), try offering().0] {
      #expect(
        try client.hear(.assignment(next)) { $0.name == "stem" } == [.drop(key), fetch(part("norm"))])
      #expect(client.key == key.nextAttempt)
      #expect(client.finish(.example(key: key)) == [], "the old training ends late")
      #expect(client.hold(part("norm")) == [.train(next)])
      #expect(client.finish(.example(key: key)) == [])
      #expect(client.phase == .training(next))
    }
  }

  @Test func aReleaseStopsTheWork() throws {
    var fetching = try idle()
    _ = try fetching.hear(.assignment(assignment([part("stem")]))) { _ in false }
    for var client in [fetching, try training(), try offering().0] {
      #expect(try client.hear(.release(Release(key: key.nextAttempt))) { _ in true } == [])
      #expect(client.key == key, "another round's release")
      #expect(try client.hear(.release(Release(key: key))) { _ in true } == [.drop(key)])
      #expect(client.phase == .idle)
      #expect(client.finish(.example(key: key)) == [] && client.hold(part("stem")) == [])
      #expect(try client.lose(part("stem")) == [] && client.phase == .idle)
    }
  }

  @Test func takesARejectionAsAnAnswer() throws {
    var (client, _) = try offering()
    let verdict = Acknowledgement(key: key, rejection: .duplicate)
    #expect(
      try client.hear(.acknowledgement(verdict)) { _ in true } == [.note(verdict), .drop(key)])
    #expect(client.phase == .idle)
  }

  @Test func uploadsFromAnywhereInTheUpdateOnly() throws {
    var (client, offer) = try offering()
    for offset in [0, 1, offer.bytes] {
      let request = UpdateRequest(key: key, digest: offer.digest, offset: offset)
      #expect(try client.hear(.request(request)) { _ in true } == [.upload(offer, from: offset)])
    }
    for offset in [-1, offer.bytes + 1, .max] {
      let request = UpdateRequest(key: key, digest: offer.digest, offset: offset)
      #expect(throws: UnexpectedMessage.self) { try client.hear(.request(request)) { _ in true } }
    }
    let other = UpdateRequest(key: key, digest: Digest(label: "another"))
    #expect(try client.hear(.request(other)) { _ in true } == [])
  }

  @Test func aHeartbeatChangesNothing() throws {
    for var client in [Participation(), try idle(), try training(), try offering().0] {
      let phase = client.phase
      #expect(try client.hear(.heartbeat(Heartbeat())) { _ in true } == [] && client.phase == phase)
    }
  }

  @Test func unexpectedMessagesThrow() throws {
    let (offers, offer) = try offering()
    var over = try idle()
    _ = try over.hear(.goodbye(Goodbye(.stopping))) { _ in true }
    let work = Message.assignment(assignment([part("stem")]))
    let cases: [(Participation, [Message])] = [
      (
        Participation(),
        [work, layer(part("stem"), 8), .acknowledgement(Acknowledgement(key: key))]
      ),
      (try idle(), [.welcome(welcome)]), (try training(), [.welcome(welcome)]),
      (offers, [.welcome(welcome)]), (over, [.welcome(welcome), work]),
    ]
    let clients = [
      Message.hello(Hello(name: "a", software: "b")), .fetch(Fetch(digest: offer.digest)), .offer(offer),
      .update(UpdateData(digest: offer.digest, offset: 0), Data()),
    ]
    for (participation, messages) in cases {
      for message in messages + clients {
        var client = participation
        #expect(throws: UnexpectedMessage.self, "\(message.name) while \(client.phase)") {
          try client.hear(message) { _ in false }
        }
        #expect(client.phase == participation.phase)
      }
    }
  }

  @Test func declinesWhatItWillNotTrain() throws {
    var client = try idle()
    let work = assignment([part("stem")])
    let actions = try client.hear(
      .assignment(work), holds: { _ in true }, declines: { _ in DeclineReason("on battery", seconds: 300) })
    #expect(actions == [.send(.decline(Decline(key: key, reason: "on battery", seconds: 300)))])
    #expect(client.phase == .idle && client.key == nil)
    // The client may accept the next round.
    #expect(try client.hear(.assignment(work)) { _ in true } == [.train(work)])
  }

  /// The hours may end at any point of a round.
  @Test func withdrawsFromWhateverIsUnderWay() throws {
    var fetching = try idle()
    _ = try fetching.hear(.assignment(assignment([part("stem")]))) { _ in false }
    for var client in [fetching, try training(), try offering().0] {
      let decline = Message.decline(Decline(key: key, reason: "night is over"))
      #expect(client.withdraw(DeclineReason("night is over")) == [.halt(key), .send(decline)])
      #expect(client.phase == .idle && client.key == nil)
      #expect(client.withdraw(DeclineReason("night is over")) == [], "it is said once")
      // Messages that were already on their way are not an error, and have no effect.
      let offer = UpdateOffer.example(key: key)
      let request = UpdateRequest(key: key, digest: offer.digest)
      for message in [
        layer(part("stem"), 8), .request(request), .acknowledgement(Acknowledgement(key: key)),
        .release(Release(key: key)),
      ] {
        #expect(try client.hear(message) { _ in true } == [], "\(message.name)")
      }
      #expect(client.finish(offer) == [] && client.hold(part("stem")) == [])
      let again = assignment([part("stem")])
      #expect(try client.hear(.assignment(again)) { _ in true } == [.train(again)])
    }
  }

  @Test func withoutWorkThereIsNothingToWithdrawFrom() throws {
    var over = try idle()
    _ = try over.hear(.goodbye(Goodbye(.stopping))) { _ in true }
    for var client in [Participation(), try idle(), over] {
      let phase = client.phase
      #expect(client.withdraw(DeclineReason("night is over")) == [] && client.phase == phase)
    }
  }

  @Test func aLongReasonIsCutToWhatTheProtocolAllows() throws {
    var client = try training()
    let reason = String(repeating: "x", count: 200)
    #expect(
      client.withdraw(DeclineReason(reason + "y")) == [
        .halt(key), .send(.decline(Decline(key: key, reason: reason))),
      ])
  }

  @Test func declinesDuringOtherWork() throws {
    var client = try training()
    let next = assignment([part("stem")], key: RoundKey(stage: 1, round: 3))
    let actions = try client.hear(
      .assignment(next), holds: { _ in true },
      declines: { _ in DeclineReason(String(repeating: "x", count: 999)) })
    let reason = String(repeating: "x", count: 200)
    #expect(actions == [.drop(key), .send(.decline(Decline(key: next.key, reason: reason)))])
  }

  @Test func whatCameAsDifferencesIsPutTogetherBeforeTraining() throws {
    let (stem, block) = (part("stem"), part("blocks.0"))
    var work = assignment([stem, block])
    let step = DeltaChain.Step(
      from: Digest(label: "old"), digest: Digest(label: "step"), bytes: 4, codec: .int8)
    work.deltaChains = [DeltaChain(to: block.digest, steps: [step])]
    let coded = PartVersion(name: "blocks.0", digest: step.digest, bytes: 4)
    let old = PartVersion(name: "blocks.0", digest: Digest(label: "old"), bytes: 8)
    var client = try idle()
    #expect(try client.hear(.assignment(work)) { $0 == stem || $0 == old } == [fetch(coded)])
    #expect(client.hold(coded) == [.assemble(work)])
    // The layer in the cache was damaged.
    #expect(client.assemble(work, missing: [block]) == [fetch(block)])
    #expect(client.hold(block) == [.assemble(work)])
    #expect(client.assemble(work, missing: []) == [.train(work)])
    #expect(client.assemble(work, missing: []) == [], "it trains already")
  }

  @Test func aLayerThatIsDamagedAgainAndAgainIsTheDisksFault() throws {
    let work = assignment([part("stem")])
    var client = try training()
    for _ in 0..<3 {
      #expect(try client.miss(work) { _ in false } == [fetch(part("stem"))])
      #expect(client.hold(part("stem")) == [.train(work)])
    }
    #expect(throws: UnexpectedMessage.self) { try client.miss(work) { _ in false } }
  }
}
