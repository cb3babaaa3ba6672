import Engine
import Federation
import Foundation
import Support
import Testing

@Suite struct MessageNumbersTests {
  private static let key = RoundKey(stage: 1, round: 2)

  private static func offer(_ change: (inout UpdateOffer) -> Void) -> Message {
    var offer = UpdateOffer.example(key: key)
    offer.monitors = CollapseMonitors(alignment: 0.4, uniformity: -3, deviation: 0.3, effectiveRank: 38)
    change(&offer)
    return .offer(offer)
  }

  private static func assignment(_ key: RoundKey = key, seed: UInt64 = 1, from: Float = 0, to: Float = 1)
    -> Message
  {
    .assignment(
      Assignment(key: key, seed: seed, schedule: SchedulePlace(from: from, to: to), parts: [], trained: []))
  }

  private static let bad: [(Message, String, Rejection)] = [
    (offer { $0.loss = .nan }, "offer.loss", .notFinite),
    (offer { $0.loss = 1e30 }, "offer.loss", .overLimit),
    (offer { $0.loss = -.greatestFiniteMagnitude }, "offer.loss", .overLimit),
    (offer { $0.seconds = .infinity }, "offer.seconds", .notFinite),
    (offer { $0.seconds = -1 }, "offer.seconds", .overLimit),
    (offer { $0.seconds = 1e300 }, "offer.seconds", .overLimit),
    (offer { $0.monitors?.alignment = .nan }, "offer.metrics.alignment", .notFinite),
    (offer { $0.monitors?.uniformity = -.infinity }, "offer.metrics.uniformity", .notFinite),
    (offer { $0.monitors?.deviation = 3e38 }, "offer.metrics.deviation", .overLimit),
    (offer { $0.monitors?.effectiveRank = -3e38 }, "offer.metrics.effectiveRank", .overLimit),
    (offer { $0.samples = 0 }, "offer.samples", .overLimit),
    (offer { $0.samples = .max }, "offer.samples", .overLimit),
    (offer { $0.steps = 0 }, "offer.steps", .overLimit),
    (offer { $0.steps = .max }, "offer.steps", .overLimit),
    (offer { $0.key = RoundKey(stage: 1, round: .min) }, "offer.key.round", .overLimit),
    (.heartbeat(Heartbeat(step: -1, steps: 4)), "heartbeat.step", .overLimit),
    (.heartbeat(Heartbeat(step: 1, steps: .max)), "heartbeat.steps", .overLimit),
    (.heartbeat(Heartbeat(memory: .min)), "heartbeat.memory", .overLimit),
    (.decline(Decline(key: key, reason: "", seconds: -1)), "decline.seconds", .overLimit),
    (.decline(Decline(key: key, reason: "", seconds: .max)), "decline.seconds", .overLimit),
    (
      .decline(Decline(key: RoundKey(stage: 1, round: 1, attempt: .max), reason: "")), "decline.key.attempt",
      .overLimit
    ),
    (assignment(from: .nan), "assignment.schedule.from", .notFinite),
    (assignment(from: -0.1), "assignment.schedule.from", .overLimit),
    (assignment(to: 1.1), "assignment.schedule.to", .overLimit),
    (assignment(seed: .max), "assignment.seed", .overLimit),
    (assignment(RoundKey(stage: -1, round: 1)), "assignment.key.stage", .overLimit),
    (.release(Release(key: RoundKey(stage: 1, round: 1, attempt: -1))), "release.key.attempt", .overLimit),
    (
      .welcome(Welcome(plan: Plan(encoder: TinyEncoder.vit), heartbeatSeconds: 1e300, chunkBytes: 1)),
      "welcome.heartbeatSeconds", .overLimit
    ),
  ]

  @Test(arguments: bad) func aNumberThatCannotBeMeantIsNamed(
    message: Message, field: String, rejection: Rejection
  ) {
    #expect(message.badNumber?.field == field && message.badNumber?.rejection == rejection)
    #expect(message.badNumber?.description.hasPrefix(field) == true)
  }

  @Test(arguments: [
    offer { _ in }, offer { ($0.loss, $0.seconds) = (-1e6, 0) }, offer { $0.monitors = nil },
    .heartbeat(Heartbeat()), .heartbeat(Heartbeat(step: 0, steps: 0, memory: 1 << 52)),
    .decline(Decline(key: key, reason: "", seconds: 0)), assignment(seed: 1 << 53 - 1),
    .goodbye(Goodbye(.finished)),
  ]) func anyOtherIsTaken(message: Message) {
    #expect(message.badNumber == nil)
  }

  /// A number out of the range of any type is decoded, and its offer is rejected by name.
  @Test(arguments: [
    ("loss", "1e39", Rejection.notFinite), ("loss", "-1e400", .notFinite), ("loss", "\"NaN\"", .notFinite),
    ("seconds", "1e999", .notFinite), ("samples", "1e30", .overLimit),
    ("samples", "-99999999999999999999", .overLimit),
    ("samples", "1.5", .overLimit), ("steps", "18446744073709551616", .overLimit),
    ("metrics", #"{"alignment":"NaN","deviation":0,"effectiveRank":1,"uniformity":0}"#, .notFinite),
    ("metrics", #"{"alignment":0,"deviation":0,"effectiveRank":1e39,"uniformity":0}"#, .notFinite),
  ]) func anOfferIsReadWhateverItsNumbers(field: String, text: String, rejection: Rejection) throws {
    var fields = try #require(
      try JSONSerialization.jsonObject(with: try JSON.stored(UpdateOffer.example())) as? [String: Any])
    fields[field] = "HERE"
    let head = String(decoding: try JSONSerialization.data(withJSONObject: fields), as: UTF8.self)
    let offer: UpdateOffer = try JSON.read(from: Data(head.replacing("\"HERE\"", with: text).utf8))
    #expect(offer.badNumber?.rejection == rejection, "\(offer)")
    #expect(Round.training().rejection(of: offer, from: "a") == rejection)
  }

  @Test(arguments: [#""many""#, "null", "[]", "true"]) func whatIsNoNumberIsNoOffer(text: String) throws {
    let whole = String(decoding: try JSON.stored(UpdateOffer.example()), as: UTF8.self)
    #expect(throws: DecodingError.self) {
      let _: UpdateOffer = try JSON.read(
        from: Data(whole.replacing(#""loss":1.5"#, with: #""loss":\#(text)"#).utf8))
    }
  }
}

private enum TinyEncoder {
  static let vit = EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 2, heads: 2)
}
