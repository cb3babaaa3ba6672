import Testing
import Wire

@Suite struct EndpointTests {
  @Test(
    arguments: [
      ("127.0.0.1:7400", "127.0.0.1", 7400), ("[::1]:80", "::1", 80),
      ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
      ("localhost:0", "localhost", 0), ("train-7.example.org:1", "train-7.example.org", 1),
    ] as [(String, String, UInt16)])
  func understands(text: String, host: String, port: UInt16) throws {
    let endpoint = try Endpoint(parsing: text)
    #expect(endpoint == Endpoint(host: host, port: port))
    #expect(endpoint.description == text)
  }

  @Test(arguments: [
    "localhost", "LocalHost", "127.0.0.1", "127.8.9.10", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1",
    "::ffff:127.200.0.1", "::ffff:7f00:1",
  ])
  func theMachineItself(host: String) { #expect(Endpoint(host: host, port: 7400).isLoopback) }

  /// Hosts that can be reached from elsewhere, or may resolve to such an address.
  @Test(arguments: [
    "127.example.org", "127.0.0.1.example.org", "localhost.example.org", "localhost.", "128.0.0.1",
    "10.0.0.1",
    "0.0.0.0", "::", "::2", "127::1", "::127.0.0.1", "::ffff:128.0.0.1", "::fffe:127.0.0.1", "fe80::1%lo",
    "127.1",
    "127", "127.0.0.1 ", "",
  ])
  func anyOtherMachine(host: String) { #expect(!Endpoint(host: host, port: 7400).isLoopback) }

  @Test(arguments: [
    ("", "HOST:PORT"), ("localhost", "HOST:PORT"), ("localhost:", "port"), ("localhost:65536", "port"),
    ("localhost:-1", "port"), ("localhost:http", "port"), ("localhost: 80", "port"), (":80", "host"),
    ("[]:80", "host"), ("[::1]", "port"), ("localhost:80 ", "port"), ("localhost:٨٠", "port"),
  ])
  func rejects(text: String, reason: String) {
    let error = #expect(throws: WireError.self) { try Endpoint(parsing: text) }
    guard case .address(text, let given)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(given.contains(reason), "\(given)")
  }
}
