import Engine
import Federation
import Foundation
import Testing
import Wire

/// Numbers out of bounds are rejected on decoding, so that sums cannot overflow.
@Suite struct MessageBoundsTests {
  private static let digest = String(repeating: "0", count: 64)

  /// A head with a number in place of `#`.
  private struct Head: Sendable, CustomTestStringConvertible {
    let kind: UInt8
    let field: String
    let json: String
    var isWhole = true

    var testDescription: String { "\(kind) \(field)" }

    func frame(_ number: String) -> Frame {
      Frame(kind: kind, head: Data(json.replacing("#", with: number).utf8))
    }
  }

  private static let assignment = #"""
    {"key": {"stage": 1, "round": 1, "attempt": 1}, "seed": 1, "schedule": {"from": 0, "to": 1}, "trained": [], "others": [],
     "parts": [PART], "deltaChains": [{"to": "DIGEST", "steps": [STEP], "fullDelta": FULL}]}
    """#

  private static func assignment(_ part: String, _ step: String, _ fullDelta: String) -> String {
    let coded = #"{"digest": "DIGEST", "codec": "int8", "bytes": BYTES}"#
    return
      assignment
      .replacing(
        "PART", with: #"{"name": "stem", "digest": "DIGEST", "bytes": BYTES}"#.replacing("BYTES", with: part)
      )
      .replacing("STEP", with: coded.replacing("BYTES", with: step))
      .replacing("FULL", with: coded.replacing("BYTES", with: fullDelta))
      .replacing("DIGEST", with: digest)
  }

  private static let heads = [
    Head(kind: 3, field: "bytes", json: assignment("#", "1", "1")),
    Head(kind: 3, field: "bytes", json: assignment("1", "#", "1")),
    Head(kind: 3, field: "bytes", json: assignment("1", "1", "#")),
    Head(
      kind: 3, field: "schedule.to",
      json: assignment("1", "1", "1").replacing("to\": 1", with: "to\": #"), isWhole: false),
    Head(kind: 4, field: "offset", json: #"{"digest": "DIGEST", "offset": #}"#),
    Head(
      kind: 7, field: "offset",
      json: #"{"key": {"stage": 1, "round": 1, "attempt": 1}, "digest": "DIGEST", "offset": #}"#),
  ].map {
    Head(kind: $0.kind, field: $0.field, json: $0.json.replacing("DIGEST", with: digest), isWhole: $0.isWhole)
  }

  @Test(arguments: heads) private func whatCanBeIsTaken(head: Head) throws {
    for number in ["0", "1", "1099511627776"] where head.isWhole || number.count < 9 {
      #expect(throws: Never.self, "\(number)") { try Message(head.frame(number)) }
    }
  }

  @Test(arguments: heads) private func whatNobodyCanMeanIsAnErrorThatNamesIt(head: Head) throws {
    let wholes = [
      "-1", "1099511627777", "4611686018427387904", "9223372036854775807", "-9223372036854775808",
    ]
    for number in head.isWhole ? wholes : ["1e10", "-1e300", #""NaN""#, #""Infinity""#] {
      let error = #expect(throws: WireError.self, "\(number)") { try Message(head.frame(number)) }
      guard case .badNumber(let reason)? = error else {
        Issue.record("\(number): \(String(describing: error))")
        continue
      }
      #expect(reason.contains(head.field), "\(number): \(reason)")
    }
  }

  /// The client checks the meaning of a welcome's numbers, which must be within the bounds of its arithmetic.
  @Test func aWelcomesNumbersAreBounded() throws {
    var numbers = RandomNumbers(1)
    guard case .welcome(var welcome) = RandomMessage.make(kind: 1, &numbers) else {
      Issue.record("no welcome")
      return
    }
    welcome.heartbeatSeconds = 1e300
    #expect(throws: WireError.self) { try Message(Message.welcome(welcome).frame()) }
    (welcome.heartbeatSeconds, welcome.chunkBytes) = (0.5, 1 << 62)
    #expect(throws: WireError.self) { try Message(Message.welcome(welcome).frame()) }
    welcome.chunkBytes = 1000
    #expect(try Message(Message.welcome(welcome).frame()) == .welcome(welcome))
  }
}
