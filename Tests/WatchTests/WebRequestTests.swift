import Foundation
import Testing
import Watch

@Suite struct WebRequestTests {
  private func read(_ text: String) throws(WebRequest.Problem) -> WebRequest {
    try WebRequest(Data(text.utf8))
  }

  @Test func aBrowsersHeadIsRead() throws {
    let request = try read("GET /api/rounds?x=1 HTTP/1.1\r\nHost: a:1\r\nIf-None-Match:  \"a\", W/\"b\" ")
    #expect(request.method == "GET" && request.path == "/api/rounds" && request.headers["host"] == "a:1")
    #expect(request.holds("\"a\"") && request.holds("\"b\"") && !request.holds("\"c\""))
    #expect(request.host?.name == "a")
    let old = try read("HEAD / HTTP/1.0")
    #expect(!old.holds("\"a\"") && old.host == nil)
  }

  @Test(arguments: [
    "", "GET", "GET /", "GET / HTTP/2\r\nHost: a", "GET  / HTTP/1.1\r\nHost: a", "G3T / HTTP/1.1\r\nHost: a",
    "GET http://a/ HTTP/1.1\r\nHost: a",
    "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: a b", "GET / HTTP/1.1\r\nHost: a\r\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\nno colon", "GET / HTTP/1.1\r\nHost: a\r\n: a",
    "GET / HTTP/1.1\r\nHost: a\r\na b: c", "GET /\0 HTTP/1.1\r\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\n folded: a", "\u{16}\u{3}\u{1}",
  ])
  func whatIsNoHeadIsRejected(text: String) {
    #expect(throws: WebRequest.Problem.malformed) { try read(text) }
  }

  @Test(arguments: ["Content-Length: 1", "content-length: x", "Transfer-Encoding: chunked"])
  func aBodyIsRejected(header: String) {
    #expect(throws: WebRequest.Problem.hasBody) { try read("GET / HTTP/1.1\r\nHost: a\r\n\(header)") }
  }

  @Test func noBytesMakeItStop() {
    var numbers = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: 0..<(.max), using: &numbers)
    var state = seed
    for _ in 0..<20_000 {
      var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"".utf8)
      for _ in 0..<4 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes[Int(state >> 33) % bytes.count] = UInt8(truncatingIfNeeded: state >> 24)
      }
      // If the request is accepted, its parts must be valid.
      if let request = try? WebRequest(Data(bytes)) {
        #expect(request.path.hasPrefix("/") && !request.method.isEmpty, "seed \(seed)")
      }
    }
  }
}
