import Engine
import Federation
import Foundation
import Testing
import Wire

/// Numbers in heads as peers may write them.
@Suite struct MessageNumbersTests {
  private func message(_ kind: UInt8, _ head: String) throws -> Message {
    try Message(Frame(kind: kind, head: Data(head.utf8)))
  }

  @Test(
    arguments: [
      (11, #"{"step": -3, "steps": 10}"#, "heartbeat.step is -3, and must be 0 to "),
      (11, #"{"step": 1, "steps": 9223372036854775807}"#, "heartbeat.steps is not a whole number of 0 to "),
      (11, #"{"memory": -1}"#, "heartbeat.memory is -1"),
      (
        11,
        #"{"validation": {"key": {"stage": 1, "round": 1, "attempt": 1}, "images": 9, "majority": 1, "correct": [9, 10]}}"#,
        "heartbeat.validation.correct is 10, and must be 0 to 9"
      ),
      (
        11,
        #"{"validation": {"key": {"stage": 1, "round": -1, "attempt": 1}, "images": 9, "majority": 1, "correct": []}}"#,
        "heartbeat.validation.key.round is -1"
      ),
      (
        13, #"{"key": {"stage": 1, "round": 1, "attempt": 1}, "reason": "", "seconds": -9}"#,
        "decline.seconds is -9"
      ),
      (13, #"{"key": {"stage": -1, "round": 1, "attempt": 1}, "reason": ""}"#, "decline.key.stage is -1"),
      (1, #"{"protocol": -1, "name": "a", "software": "s"}"#, "hello.protocol is -1"),
      (
        3,
        #"{"schedule": {"from": "NaN", "to": 1}, "key": {"stage": 1, "round": 1, "attempt": 1}, "others": [], "parts": [], "seed": 1, "trained": []}"#,
        "assignment.schedule.from is not a finite number"
      ),
    ] as [(UInt8, String, String)]) func itsFieldIsNamed(kind: UInt8, head: String, reason: String) throws
  {
    let error = #expect(throws: WireError.self) { try message(kind, head) }
    #expect(error?.description.hasPrefix(reason) == true, "\(error as Any)")
  }

  /// The same holds for numbers out of the range of any type, and for non-numbers.
  @Test(
    arguments: [
      (11, #"{"step": 1e30}"#, "heartbeat.step is not a whole number"),
      (11, #"{"memory": 99999999999999999999}"#, "heartbeat.memory is not a whole number"),
      (
        11,
        #"{"validation": {"key": {"stage": 1, "round": 1, "attempt": 1}, "images": 1e9, "majority": 1, "correct": []}}"#,
        "heartbeat.validation.images is 1000000000, and must be 1 to 100000000"
      ),
      (
        11,
        #"{"validation": {"key": {"stage": 1, "round": 1, "attempt": 1}, "images": 9, "majority": 1, "correct": [1, 1e30]}}"#,
        "heartbeat.validation.correct is not a whole number"
      ),
      (
        11,
        #"{"validation": {"key": {"stage": 1, "round": 1, "attempt": 1}, "images": 9, "majority": 1, "correct": [[]]}}"#,
        "a heartbeat with an unreadable head: validation"
      ),
      (11, #"{"steps": 0.5}"#, "heartbeat.steps is not a whole number"),
      (11, #"{"steps": "NaN"}"#, "a heartbeat with an unreadable head: steps: "),
      (
        13, #"{"key": {"stage": 1, "round": 1, "attempt": 1}, "reason": "", "seconds": 1e400}"#,
        "decline.seconds is not a whole number"
      ),
      (1, #"{"protocol": 1e400, "name": "a", "software": "s"}"#, "a hello with an unreadable head: "),
    ] as [(UInt8, String, String)]) func whatNoTypeHoldsIsNamedToo(kind: UInt8, head: String, reason: String)
    throws
  {
    let error = #expect(throws: WireError.self) { try message(kind, head) }
    #expect(error?.description.hasPrefix(reason) == true, "\(error as Any)")
  }

  /// The round rejects an offer by the name of its fault.
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
