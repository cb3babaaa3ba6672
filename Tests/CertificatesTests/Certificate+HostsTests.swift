import Certificates
import Testing

@Suite struct CertificateHostsTests {
  private func certificate(_ hosts: [String]) throws -> Certificate {
    try Authority(creating: "test", days: 1)
      .issue(.server, name: "coordinator", hosts: hosts, key: try PrivateKey(), days: 1)
  }

  @Test func whatItWasMadeForIsReadInOrder() throws {
    let hosts = ["coordinator", "192.0.2.10", "localhost", "127.0.0.1", "::1", "2001:db8::7"]
    let made = try certificate(hosts)
    #expect(made.hosts == hosts)
    #expect(made.otherHosts == ["192.0.2.10", "2001:db8::7"])
    for host in hosts { #expect(made.isFor(host), "\(host)") }
    for host in ["elsewhere", "192.0.2.1", "::2", "coordinator.example", ""] {
      #expect(!made.isFor(host), "\(host)")
    }
  }

  @Test func aClientsHasNone() throws {
    let authority = try Authority(creating: "test", days: 1)
    #expect(try authority.issue(.client, name: "a", key: try PrivateKey(), days: 1).hosts.isEmpty)
  }
}
