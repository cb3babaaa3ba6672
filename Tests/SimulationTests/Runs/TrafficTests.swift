import Engine
import Federation
import Foundation
import Server
import Simulation
import TestSupport
import Testing
import Wire

/// The traffic of runs, compared with the method's.
@Suite(.unhurried) struct TrafficTests {
  /// Returns an upper bound of the bytes in one client's messages without weights.
  private static func framing(up plan: Plan) throws -> Int {
    let rounds = plan.mostRounds
    let digest = Digest(of: Data())
    let key = RoundKey(stage: 99, round: 99, attempt: 9)
    let offer = UpdateOffer(
      key: key, base: digest, digest: digest, bytes: 999_999_999, samples: 999_999, steps: 999_999,
      loss: 1.2345678, seconds: 1234.567890123456)
    let name = String(repeating: "a", count: 64)
    let once = try Message.hello(Hello(name: name, software: name)).frame().count
    let fetches =
      try Message.fetch(Fetch(digest: digest)).frame().count * plan.stage(plan.stages).model.parts.count
    let pieces = 1 + plan.updateBytes(stage: 1) / WireLimits.chunk
    let update = try Message.update(UpdateData(digest: digest, offset: 999_999_999), Data()).frame().count
    return once + rounds * (fetches + (try Message.offer(offer).frame().count) + pieces * update)
  }

  @Test func clientsUploadNothingButWhatTrains() async throws {
    let plan = Plan.tiny(rounds: 2)
    let summary = try await TinyRun.summary(plan)
    // L_s, final norm and heads, and the stem in stage 1; two rounds per stage.
    let calculated = 2 * plan.updateBytes(stage: 1) + 2 * plan.updateBytes(stage: 2)
    let framing = try Self.framing(up: plan)
    for client in summary.clients {
      #expect(client.bytesUp > calculated, "\(client.name)")
      #expect(Double(client.bytesUp) <= Double(calculated) * 1.01 + Double(framing), "\(client.name)")
    }
    #expect(Double(framing) < 0.2 * Double(calculated), "the bound is of no use")
  }

  /// The stage's layers only; end-to-end uploads more per round.
  @Test func theCalculationIsThatOfTheLayers() {
    let plan = Plan.tiny()
    let (width, hidden, tokens) = (24, 96, 17)
    let block = 4 * width + 3 * width * width + 3 * width + width * width + width
    let mlp = width * hidden + hidden + hidden * width + width
    let stem = width + tokens * width + width * 48 + width
    let norm = 2 * width
    #expect(plan.stage(1).model.part("blocks.0")?.range.count == block + mlp)
    #expect(plan.stage(1).model.part("stem")?.range.count == stem)
    #expect(plan.stage(1).model.part("norm")?.range.count == norm)
    let heads = plan.stage(2).model.part("projector")?.range.count ?? 0
    #expect(heads >= width * 32 + 32 * 32 + 32 * 16)
    #expect(plan.updateBytes(stage: 1) == 4 * (stem + block + mlp + norm + heads))
    #expect(plan.updateBytes(stage: 2) == 4 * (block + mlp + norm + heads))
  }

  /// The averages with a single client are its updates, so every version in a round is known: all of stage 1 in round
  /// 1; in stage 2 the four parts that stage 1 trained, with the copied layer only once.
  @Test func clientsDownloadNothingThatTheyHold() async throws {
    for (initialisation, copies) in [(LayerInitialisation.transfer, 1), (.random, 2)] {
      var plan = Plan.tiny(cohort: 1, rounds: 2)
      plan.method.initialisation = initialisation
      let summary = try await TinyRun.summary(plan, clients: 1)
      let model = plan.stage(2).model
      func bytes(_ name: String) -> Int { (model.part(name)?.range.count ?? 0) * 4 }
      let heads = bytes("norm") + bytes("projector")
      let all = bytes("stem") + bytes("blocks.0") + heads
      // Stage 1: everything, twice. Stage 2: everything once with the new layer, then the parts that stage 2 trained.
      let calculated =
        2 * all + bytes("stem") + copies * bytes("blocks.0") + heads + bytes("blocks.1") + heads
      let framing = try framing(down: plan)
      let down = try #require(summary.clients.first).bytesDown
      #expect(down > calculated && down <= calculated + framing, "\(initialisation): \(down), \(calculated)")
      #expect(framing < bytes("blocks.0"), "the bound is of no use")
    }
  }

  /// In a later lap of a classification, a client downloads the layers that have changed since it had them, and uploads
  /// what trains.
  @Test(arguments: [1, 2], [false, true])
  func aLapExchangesWhatIsPlanned(rounds: Int, isResNet: Bool) async throws {
    var plan = Plan.tiny(cohort: 1, rounds: rounds)
    (plan.method.objective, plan.method.alignment, plan.method.laps) = (.classification, 0, 2)
    plan.method.classification = Plan.Classification(classes: .count(10), hidden: 64)
    if isResNet {
      plan.encoder = EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 16), width: 8, depth: 2))
      plan.method.initialisation = .random
      plan.method.classification?.grid = 2
    }
    let planned = PlannedTraffic(plan)
    #expect(planned.bytesUp == (1...4).reduce(0) { $0 + rounds * plan.updateBytes(stage: $1) })
    let client = try #require(try await TinyRun.summary(plan, clients: 1).clients.first)
    let (up, down) = (try Self.framing(up: plan), try framing(down: plan))
    #expect((planned.bytesUp...planned.bytesUp + up).contains(client.bytesUp), "\(client.bytesUp)")
    #expect((planned.bytesDown...planned.bytesDown + down).contains(client.bytesDown), "\(client.bytesDown)")
    let classifier = 4 * (plan.stage(1).model.part("classifier")?.range.count ?? 0)
    #expect(down < 4 * classifier, "the bound is of no use")
  }

  /// Returns an upper bound of the bytes in the server's messages to one client without weights.
  private func framing(down plan: Plan) throws -> Int {
    let digest = Digest(of: Data())
    let key = RoundKey(stage: 99, round: 99, attempt: 9)
    let parts = plan.stage(plan.stages).model.parts
    let assignment = Assignment(
      key: key, seed: 1 << 53, schedule: SchedulePlace(from: 0.123_456_79, to: 0.987_654_3),
      parts: parts.map { PartVersion(name: $0.name, digest: digest, bytes: 999_999) },
      trained: parts.map(\.name))
    let welcome = Welcome(plan: plan, heartbeatSeconds: 10, chunkBytes: WireLimits.chunk)
    let layer = LayerData(digest: digest, offset: 999_999, total: 999_999)
    let round: [Message] =
      [
        .assignment(assignment), .request(UpdateRequest(key: key, digest: digest)),
        .release(Release(key: key)),
      ]
      + [.acknowledgement(Acknowledgement(key: key))] + parts.map { _ in .layer(layer, Data()) }
    let once: [Message] = [.welcome(welcome), .goodbye(Goodbye(.finished)), .heartbeat(Heartbeat())]
    let counts = try (once.map { try $0.frame().count }, round.map { try $0.frame().count })
    return counts.0.reduce(0, +) + plan.mostRounds * counts.1.reduce(0, +)
  }
}
