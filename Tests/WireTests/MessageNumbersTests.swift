import Engine
import Federation
import Foundation
import Testing
import Wire

/// Numbers of heads as a peer may write them.
@Suite struct MessageNumbersTests {
  private func message(_ kind: UInt8, _ head: String) throws -> Message {
    try Message(Frame(kind: kind, head: Data(head.utf8)))
  }

  @Test(arguments: [
    (11, #"{"step": -3, "steps": 10}"#, "heartbeat.step is -3, and must be 0 to "),
    (11, #"{"step": 1, "steps": 9223372036854775807}"#, "heartbeat.steps is "),
    (11, #"{"memory": -1}"#, "heartbeat.memory is -1"),
    (
      13, #"{"key": {"stage": 1, "round": 1, "attempt": 1}, "reason": "", "seconds": -9}"#,
      "decline.seconds is -9"
    ),
    (13, #"{"key": {"stage": -1, "round": 1, "attempt": 1}, "reason": ""}"#, "decline.key.stage is -1"),
    (1, #"{"protocol": -1, "name": "a", "software": "s"}"#, "hello.protocol is -1"),
    (
      3,
      #"{"deadlineSeconds": "NaN", "key": {"stage": 1, "round": 1, "attempt": 1}, "others": [], "parts": [], "seed": 1, "trained": []}"#,
      "assignment.deadlineSeconds is not a finite number"
    ),
  ]) func itsFieldIsNamed(kind: UInt8, head: String, reason: String) throws {
    let error = try #require(#expect(throws: WireError.self) { try message(kind, head) })
    guard case .badNumber(let text) = error else { throw error }
    #expect(text.hasPrefix(reason) && text == error.description)
  }

  /// What its type cannot hold is named by whoever reads the head.
  @Test(arguments: [
    #"{"step": 1e30}"#, #"{"step": 0.5}"#, #"{"step": "NaN"}"#, #"{"step": 99999999999999999999}"#,
  ])
  func whatNoTypeHoldsIsNamedToo(head: String) throws {
    let error = try #require(#expect(throws: WireError.self) { try message(11, head) })
    guard case .badHead(kind: "heartbeat", let reason) = error else { throw error }
    #expect(reason.contains("step") && !reason.contains("\n"), "\(reason)")
  }

  /// The round says what is wrong with an offer, by its name.
  @Test func anOfferComesThroughWhateverItsNumbers() throws {
    var numbers = RandomNumbers(3)
    var offer = RandomMessage.offer(&numbers)
    (offer.loss, offer.seconds, offer.samples) = (.nan, -.infinity, .min)
    guard case .offer(let back) = try Message(try Message.offer(offer).frame()) else {
      throw WireError.malformed("no offer")
    }
    #expect(back.loss.isNaN && back.seconds == -.infinity && back.samples == .min)
    #expect(back.badNumber?.field == "offer.loss")
  }
}
