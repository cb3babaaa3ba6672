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
    ("", "HOST:PORT"), ("localhost", "HOST:PORT"), ("localhost:", "port"), ("localhost:65536", "port"),
    ("localhost:-1", "port"), ("localhost:http", "port"), ("localhost: 80", "port"), (":80", "host"),
    ("[]:80", "host"), ("[::1]", "port"), ("localhost:80 ", "port"), ("localhost:٨٠", "port"),
  ])
  func refuses(text: String, reason: String) {
    let error = #expect(throws: WireError.self) { try Endpoint(parsing: text) }
    guard case .address(text, let given)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(given.contains(reason), "\(given)")
  }
}
