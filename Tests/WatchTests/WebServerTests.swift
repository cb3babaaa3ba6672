import Foundation
import PageChecks
import TestSupport
import Testing
import Watch
import Wire

/// Through real sockets.
@Suite(.unhurried) struct WebServerTests {
  private func serving(on host: String = "127.0.0.1", _ body: (WebPeer) async throws -> Void) async throws {
    let server = try await WebServer(Endpoint(host: host, port: 0)) { request in
      WebResponse(.ok, "text/plain; charset=utf-8", Data("you asked for \(request.path)".utf8))
    }
    async let _: Void = server.run()
    defer { server.shutDown() }
    try await body(WebPeer(server.endpoint))
  }

  @Test func whatIsAskedForIsAnswered() async throws {
    try await serving { peer in
      let answer = try await peer.get("/a?b")
      #expect(answer.status == 200 && answer.body == "you asked for /a")
      #expect(answer.headers["content-length"] == "16" && answer.headers["connection"] == "close")
      #expect(answer.headers["x-content-type-options"] == "nosniff")
      #expect(answer.headers["content-security-policy"]?.hasPrefix("default-src 'none'") == true)
      #expect(answer.headers["access-control-allow-origin"] == nil, "other pages may not read it")
      #expect(answer.headers["date"]?.wholeMatch(of: /\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/) != nil)
      let head = try await peer.say("HEAD /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
      #expect(head.status == 200 && head.body.isEmpty && head.headers["content-length"] == "16")
    }
  }

  @Test func whoHasItAlreadyIsToldSo() async throws {
    try await serving { peer in
      let tag = try #require(try await peer.get("/a").headers["etag"])
      let again = try await peer.get("/a", "If-None-Match: \(tag)")
      #expect(again.status == 304 && again.body.isEmpty && again.headers["etag"] == tag)
      #expect(try await peer.get("/b", "If-None-Match: \(tag)").status == 200)
    }
  }

  @Test(arguments: ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
  func nothingButLookingIsAllowed(method: String) async throws {
    try await serving { peer in
      let answer = try await peer.say("\(method) / HTTP/1.1\r\nHost: localhost\r\n\r\n")
      #expect(answer.status == 405 && answer.headers["allow"] == "GET, HEAD")
    }
  }

  @Test func whatIsTooLongOrNoRequestIsSaidToBe() async throws {
    try await serving { peer in
      let long = "GET / HTTP/1.1\r\nA: " + String(repeating: "a", count: WebLimits.head)
      let tooLong = try await peer.say(long)
      #expect(tooLong.status == 431)
      // More than the server reads, so that the response must survive the unread bytes.
      #expect(try await peer.say(long + String(repeating: "b", count: 40_000)).status == 431)
      #expect(try await peer.say("hello\r\n\r\n").status == 400)
      #expect(
        try await peer.say("POST / HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 3\r\n\r\nabc").status == 413)
    }
  }

  /// A page from another site with a name that resolves to this server could otherwise read the response.
  @Test func onALoopbackAddressOnlyItsOwnNamesAreAnswered() async throws {
    try await serving { peer in
      for host in ["127.0.0.1", "localhost:9", "[::1]:8080"] {
        #expect(try await peer.say("GET /a HTTP/1.1\r\nHost: \(host)\r\n\r\n").status == 200)
      }
      let rebound = try await peer.say("GET /a HTTP/1.1\r\nHost: 127.evil.example:8080\r\n\r\n")
      #expect(rebound.status == 421 && !rebound.body.contains("/a"))
      #expect(try await peer.say("GET /a HTTP/1.1\r\n\r\n").status == 400)
      #expect(try await peer.say("GET /a HTTP/1.0\r\n\r\n").status == 200)
    }
    // A server that is not on a loopback address accepts any host name.
    try await serving(on: "0.0.0.0") { peer in
      let answer = try await peer.say("GET /a HTTP/1.1\r\nHost: strata.example\r\n\r\n")
      #expect(answer.status == 200)
    }
  }

  @Test func aCrowdThatSaysNothingKeepsNobodyOut() async throws {
    try await serving { peer in
      var crowd: [ByteConnection] = []
      defer { for connection in crowd { connection.close() } }
      for index in 0..<200 { crowd.append(try await peer.open(saying: index % 2 == 0 ? "" : "GET / HT")) }
      #expect(try await peer.get("/a").status == 200)
      // The oldest connections have lost their places to newer ones.
      for connection in crowd.prefix(200 - WebLimits.connections) {
        await #expect(throws: WireError.closed) { _ = try await connection.read(atMost: 1) }
      }
    }
  }
}
