import Certificates
import Testing

@Suite struct EnrolmentCodeTests {
  private let authority: Certificate

  init() throws { authority = try Authority(creating: "test", days: 1).certificate }

  @Test func aCodeIsReadAsItWasPrinted() throws {
    for name in ["device-1", "a.b.c", "x"] {
      let code = EnrolmentCode(name: name, authority: authority)
      #expect(EnrolmentCode(code.description) == code)
      #expect(code.pin == EnrolmentCode.pin(of: authority))
      #expect(code.secret.count == 16 && code.pin.count == 26)
    }
  }

  /// Codes are copied from paper and read over the phone.
  @Test func whatPeopleMakeOfItIsRead() throws {
    let code = EnrolmentCode(name: "device", authority: authority)
    let body = code.secret + code.pin
    let spoken = body.lowercased().map { ["0": "o", "1": "l"][$0] ?? $0 }
    #expect(EnrolmentCode("device." + String(spoken)) == code)
    #expect(EnrolmentCode("device." + body.map { "\($0) " }.joined()) == code)
  }

  /// Files end with a line break, on Windows of two characters; mails and shells add spaces.
  @Test(arguments: ["CODE\n", "CODE\r\n", "\r\n \tCODE\t \r", "\u{FEFF}CODE\r\n\r\n", "\u{A0}CODE\u{2028}"])
  func blanksAndEndsOfLinesAroundItArePassedOver(around: String) throws {
    let code = EnrolmentCode(name: "device", authority: authority)
    #expect(EnrolmentCode(around.replacing("CODE", with: code.description)) == code)
    // A mail program breaks long lines.
    #expect(EnrolmentCode(code.description.replacing("-", with: "-\r\n")) == code)
  }

  @Test(arguments: [
    "", "device", "device.", ".AAAA", "device.AAAA", "device." + String(repeating: "U", count: 42),
  ])
  func whatIsNoneIsRejected(text: String) { #expect(EnrolmentCode(text) == nil) }

  @Test func secretsDifferAndPinsTellAuthoritiesApart() throws {
    let codes = (0..<50).map { _ in EnrolmentCode(name: "a", authority: authority) }
    #expect(Set(codes.map(\.secret)).count == 50)
    let other = try Authority(creating: "test", days: 1).certificate
    #expect(EnrolmentCode.pin(of: other) != codes[0].pin)
  }
}
