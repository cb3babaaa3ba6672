import ArgumentParser
import Certificates
import Commands
import Federation
import Foundation

struct CertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certificate",
    abstract: "Makes, lists and revokes the certificates of a federation.",
    discussion: """
      Make the authority first, then the server's certificate; 'fedserver init' makes both. A device fetches its \
      certificate with a code of 'fedserver enroll'; for a device that cannot, use 'certificate client'. A running \
      server loads new files without a restart (docs/security.md).
      """,
    subcommands: [
      AuthorityCommand.self, ServerCertificateCommand.self, ClientCertificateCommand.self, RevokeCommand.self,
      CertificateListCommand.self, RestoreCommand.self,
    ])
}

struct AuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authority", abstract: "Makes the federation's own certificate authority.",
    discussion: """
      A federation has one authority: a new one invalidates all certificates. For example:

        fedserver certificate authority "My federation" --tls tls
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The authority's name, such as the federation's.")
  var name: String = "Strata"

  @Option(help: "Validity in days, 1 to 7300.")
  var days: Int = Certificate.Role.authority.days

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let certificate = try options.folder.createAuthority(name, days: days)
      try StandardOutput.write(
        "authority \(name), \(until(certificate)); keep a copy of \(options.folder.path)/authority.key")
    }
  }
}

struct ServerCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server", abstract: "Makes the server's certificate, and replaces an existing one.",
    usage: "fedserver certificate server [<options>] --tls <dir> <name>",
    discussion: """
      The certificate contains every name and address by which clients reach the server; localhost, 127.0.0.1 and ::1 \
      are always included. For example:

        fedserver certificate server coordinator.example --host 192.0.2.10 --tls tls
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The server's host name.")
  var name: String

  @Option(
    help: ArgumentHelp(
      "Another name or address of the server. May be given more than once.", valueName: "host"))
  var host: [String] = []

  @Option(help: "Validity in days, 1 to 7300.")
  var days: Int = Certificate.Role.server.days

  func validate() throws {
    try checkHosts([name] + host)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let hosts = withLoopback([name] + host)
      let certificate = try options.folder.createServer(name, hosts: hosts, days: days)
      try StandardOutput.write("server \(hosts.joined(separator: ", ")), \(until(certificate))")
    }
  }
}

struct ClientCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client",
    abstract: "Makes a client's key and certificate, to be copied to its device.",
    usage: "fedserver certificate client [<options>] --tls <dir> --out <dir> <name>",
    discussion: """
      This is for a device that cannot enroll. Copy the folder to the device, and use it there with 'fedclient run \
      --tls DIR'. For example:

        fedserver certificate client device-1 --tls tls --out device-1-tls
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  @Option(
    help: ArgumentHelp("The folder to write to.", valueName: "dir"), completion: .directory)
  var out: String

  @Option(help: "Validity in days, 1 to 7300.")
  var days: Int = Certificate.Role.client.days

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let folder = ClientCertificate(URL(fileURLWithPath: out, isDirectory: true))
      let certificate = try options.folder.createClient(name, days: days, in: folder)
      try StandardOutput.write("client \(name), \(until(certificate)): \(folder.path)")
    }
  }
}

/// The folder of the server's certificates.
struct CertificateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The folder of the server's certificates.", valueName: "dir"), completion: .directory)
  var tls: String

  var folder: CertificateFolder { CertificateFolder(URL(fileURLWithPath: tls, isDirectory: true)) }
}

/// Throws if a client cannot have the name.
func checkName(_ name: String) throws {
  guard Hello.isValid(name: name) else {
    throw ValidationError("a name is 1 to 64 letters, digits, '.', '_' or '-'")
  }
}

/// Throws if one of the hosts is not a valid name or address.
func checkHosts(_ hosts: [String]) throws {
  for host in hosts {
    guard !host.isEmpty, host.utf8.count <= 253, !host.contains(where: { ", \n".contains($0) }) else {
      throw ValidationError("'\(host)' is not a host name or an address")
    }
  }
}

/// Returns the hosts of a server's certificate, including the loopback names of this machine.
func withLoopback(_ hosts: [String]) -> [String] {
  hosts + Certificate.loopback.filter { !hosts.contains($0) }
}

/// Throws if the lifetime is out of range.
func checkDays(_ days: Int) throws {
  guard (1...7300).contains(days) else { throw ValidationError("--days is 1 to 7300") }
}

/// Returns the expiry of a certificate in words.
func until(_ certificate: Certificate) -> String {
  "valid until \(certificate.expires.day)"
}
