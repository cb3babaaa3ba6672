import Testing
import Watch

@Suite struct WebHostTests {
  @Test(arguments: [
    "localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "127.8.9.10:8080", "[::1]", "[::1]:8080",
    "[0:0:0:0:0:0:0:1]:80", "[::ffff:127.0.0.1]:80",
  ])
  func theMachineItself(field: String) throws {
    let host = try #require(WebHost(field))
    #expect(host.isLoopback)
  }

  /// Host names of other web pages.
  @Test(arguments: [
    "example.org", "127.example.org:8080", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1",
    "0.0.0.0:8080", "[::]", "[::2]:80", "[fe80::1]", "127.1", "localhost.",
  ])
  func anythingElse(field: String) throws {
    let host = try #require(WebHost(field))
    #expect(!host.isLoopback)
  }

  @Test(arguments: ["", ":80", "a b", "[::1", "::1", "a:b", "[::1]80", "[]", "ä"])
  func whatIsNoHost(field: String) { #expect(WebHost(field) == nil) }
}
