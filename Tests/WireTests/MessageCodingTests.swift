import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct MessageCodingTests {
  @Test(arguments: 0..<RandomMessage.kinds)
  func anyMessageComesBackEqual(kind: Int) throws {
    for seed in UInt64(0)..<100 {
      var numbers = RandomNumbers(seed)
      let message = RandomMessage.make(kind: kind, &numbers)
      let frame = try message.frame()
      #expect(frame.kind >= 1 && Int(frame.kind) <= RandomMessage.kinds, "\(message.name)")
      #expect(try Message(frame) == message, "\(message.name), seed \(seed)")
    }
  }

  /// A complete heartbeat, for comparison with docs/protocol.md.
  @Test func aHeartbeatsBytesAreThoseOfTheProtocol() throws {
    let bytes: [UInt8] = [
      0x00, 0x00, 0x00, 0x1F, 0x01, 0x0B, 0x00, 0x00, 0x00, 0x15, 0x7B, 0x22, 0x73, 0x74, 0x65, 0x70, 0x22,
      0x3A, 0x33, 0x2C, 0x22, 0x73, 0x74, 0x65, 0x70, 0x73, 0x22, 0x3A, 0x31, 0x30, 0x7D, 0x4F, 0x62, 0xC2,
      0xA9,
    ]
    #expect(Array(try Message.heartbeat(Heartbeat(step: 3, steps: 10)).frame().encoded()) == bytes)
  }

  /// As in docs/protocol.md; the JSON decoder would accept other encodings, too.
  @Test(arguments: [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian, .utf32])
  func aHeadIsUTF8(encoding: String.Encoding) throws {
    let text = #"{"detail":"ä","reason":"finished"}"#
    let kind = try Message.goodbye(Goodbye(.finished)).frame().kind
    #expect(throws: Never.self) { try Message(Frame(kind: kind, head: Data(text.utf8))) }
    let other = try #require(text.data(using: encoding))
    #expect(throws: WireError.badHead(kind: "goodbye", reason: "it is not UTF-8")) {
      try Message(Frame(kind: kind, head: other))
    }
    let latin = try #require(text.data(using: .isoLatin1))
    #expect(throws: WireError.badHead(kind: "goodbye", reason: "it is not UTF-8")) {
      try Message(Frame(kind: kind, head: latin))
    }
  }

  @Test func everyKindHasItsByte() throws {
    var numbers = RandomNumbers(1)
    let kinds = try (0..<RandomMessage.kinds).map { kind in
      let message = RandomMessage.make(kind: kind, &numbers)
      return "\(message.name) \(try message.frame().kind)"
    }
    #expect(
      Set(kinds) == [
        "hello 1", "welcome 2", "assignment 3", "fetch 4", "layer 5", "offer 6", "request 7", "update 8",
        "acknowledgement 9", "release 10", "heartbeat 11", "goodbye 12", "decline 13",
        "enrol 14", "certificate 15",
      ])
  }

  @Test(arguments: [0, 16, 255]) func anUnknownKindIsRejected(kind: UInt8) {
    let error = #expect(throws: WireError.self) { try Message(Frame(kind: kind, head: Data("{}".utf8))) }
    #expect(error == .unknownKind(kind))
  }

  /// Text for people is harmless wherever a message is decoded.
  @Test(arguments: [
    (1, "software", #"{"name": "a", "protocol": 1, "software": "TEXT"}"#),
    (1, "name", #"{"name": "TEXT", "protocol": 1, "software": ""}"#),
    (12, "detail", #"{"detail": "TEXT", "reason": "rejected"}"#),
    (13, "reason", #"{"key": {"attempt": 1, "round": 1, "stage": 1}, "reason": "TEXT"}"#),
    (14, "name", #"{"name": "TEXT", "request": "", "secret": ""}"#),
  ])
  func textOfAPeerIsHarmless(kind: UInt8, field: String, head: String) throws {
    let text = #"\u001b[2J\n\u202e\u009b"# + String(repeating: "x", count: 100_000)
    let foul = head.replacing("TEXT", with: text)
    let message = try Message(Frame(kind: kind, head: Data(foul.utf8)))
    let shown: String? =
      switch message {
      case .hello(let head): field == "name" ? head.name : head.software
      case .goodbye(let head): head.detail
      case .decline(let head): head.reason
      case .enrol(let head): head.name
      default: nil
      }
    #expect(
      shown?.hasPrefix(#"\u{1B}[2J\n\u{202E}\u{9B}xxx"#) == true && (shown?.count ?? 0) <= 300,
      "\(shown ?? "")")
  }

  /// An error quotes the invalid value.
  @Test func aQuotedValueIsHarmless() throws {
    let head = #"{"detail": "", "reason": "\u001b[2J\n"# + String(repeating: "x", count: 100_000) + #""}"#
    let error = #expect(throws: WireError.self) { try Message(Frame(kind: 12, head: Data(head.utf8))) }
    let text = try #require(error).description
    #expect(text.count < 400 && text.contains(#"\u{1B}[2J\n"#), "\(text)")
  }

  @Test func aMissingKeyIsNamed() {
    let error = #expect(throws: WireError.self) {
      try Message(Frame(kind: 1, head: Data(#"{"protocol": 1, "software": "x"}"#.utf8)))
    }
    #expect(error == .badHead(kind: "hello", reason: "name is missing"))
  }

  @Test(arguments: [
    "", "null", "[]", "{", "{\"key\": 3}", "\u{0}", "{\"digest\": \"../../etc/passwd\", \"offset\": 0}",
    "{\"digest\": \"ABCDEF\", \"offset\": 0}", "{\"digest\": 1, \"offset\": \"0\"}",
    "{\"digest\": \"\(String(repeating: "0", count: 64))\", \"offset\": 1e300}",
    String(repeating: "[", count: 4000),
  ])
  func aHeadThatIsNotItsKindsIsAnError(head: String) {
    let error = #expect(throws: WireError.self) { try Message(Frame(kind: 4, head: Data(head.utf8))) }
    guard case .badHead("fetch", let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(!reason.isEmpty && !reason.contains("\n"), "not one line: \(reason)")
  }

  @Test func keysThatAreNotKnownAreOverlooked() throws {
    let head = Data(#"{"detail": "", "reason": "finished", "since": "version 2"}"#.utf8)
    #expect(try Message(Frame(kind: 12, head: head)) == .goodbye(Goodbye(.finished)))
  }

  @Test func onlyLayersAndUpdatesHaveAPayload() throws {
    var numbers = RandomNumbers(3)
    for kind in 0..<RandomMessage.kinds {
      let message = RandomMessage.make(kind: kind, &numbers)
      let frame = try message.frame()
      let loaded = Frame(kind: frame.kind, head: frame.head, payload: Data([1, 2, 3]))
      if ["layer", "update"].contains(message.name) {
        #expect(try Message(loaded).name == message.name)
      } else {
        let error = #expect(throws: WireError.self) { try Message(loaded) }
        #expect(error == .malformed("a \(message.name) with 3 bytes of payload"))
      }
    }
  }

  /// The server must receive such a loss, to reject it by name.
  @Test(arguments: [Float.nan, .infinity, -.infinity]) func aLossThatIsNoNumberTravels(loss: Float) throws {
    var numbers = RandomNumbers(4)
    var offer = RandomMessage.offer(&numbers)
    (offer.loss, offer.seconds) = (loss, Double(loss))
    guard case .offer(let received) = try Message(Message.offer(offer).frame()) else {
      Issue.record("not an offer")
      return
    }
    #expect(received.loss.isNaN == loss.isNaN && (loss.isNaN || received.loss == loss))
    #expect(received.seconds.isNaN == loss.isNaN && (loss.isNaN || received.seconds == Double(loss)))
  }

  /// The repeatability of a run depends on exact seeds and digests.
  @Test func theLargestSeedKeepsEveryBit() throws {
    let seed = (UInt64(1) << 53) - 1
    let assignment = Assignment(
      key: RoundKey(stage: 1, round: 1), seed: seed, schedule: SchedulePlace(from: 0.1, to: 0.3), parts: [],
      trained: [])
    #expect(try Message(Message.assignment(assignment).frame()) == .assignment(assignment))
  }
}
