import ArgumentParser
import Certificates
import Commands
import Federation
import Foundation

/// The folder of the server's certificates.
struct CertificateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The folder of the server's certificates.", valueName: "dir"), completion: .directory)
  var tls: String

  var folder: CertificateFolder { CertificateFolder(URL(fileURLWithPath: tls, isDirectory: true)) }
}

/// Throws where a client could not have the name.
func checkName(_ name: String) throws {
  guard Hello.isValid(name: name) else {
    throw ValidationError("a name is 1 to 64 letters, digits, '.', '_' or '-'")
  }
}

/// Throws where a server could not be reached by one of the names or addresses.
func checkHosts(_ hosts: [String]) throws {
  for host in hosts {
    guard !host.isEmpty, host.utf8.count <= 253, !host.contains(where: { ", \n".contains($0) }) else {
      throw ValidationError("'\(host)' is not a host name or an address")
    }
  }
}

/// What a server's certificate is for: the hosts, and this machine's names for itself.
func withLoopback(_ hosts: [String]) -> [String] {
  hosts + Certificate.loopback.filter { !hosts.contains($0) }
}

/// Throws for a lifetime that is none.
func checkDays(_ days: Int) throws {
  guard (1...7300).contains(days) else { throw ValidationError("--days is 1 to 7300") }
}

/// Until when a certificate is valid, in words.
func until(_ certificate: Certificate) -> String {
  "valid until \(certificate.expires.day)"
}
