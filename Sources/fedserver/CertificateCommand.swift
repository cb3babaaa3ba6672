import ArgumentParser
import Certificates
import Commands
import Federation
import Foundation

/// The folder of the server's certificates.
struct CertificateOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The folder of the server's certificates.", valueName: "dir"))
  var tls: String

  var folder: CertificateFolder { CertificateFolder(URL(fileURLWithPath: tls, isDirectory: true)) }
}

struct CertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certificate",
    abstract: "Makes, lists and revokes the certificates of a federation.",
    discussion: """
      First the authority, then the server's certificate. Boxes fetch theirs with 'fedserver enroll'; 'certificate
      client' makes one here, for a box that cannot. A running server uses new files without a restart.
      """,
    subcommands: [
      AuthorityCommand.self, ServerCertificateCommand.self, ClientCertificateCommand.self, RevokeCommand.self,
      CertificateListCommand.self,
    ])
}

private func reporting(_ body: () throws -> Void) async throws {
  try await Commands.reporting("fedserver") {
    do { try body() } catch let error as CertificateError { throw CommandFailure(.store, error.description) }
  }
}

private func checkName(_ name: String) throws {
  guard Hello.isValid(name: name) else {
    throw ValidationError("a name is 1 to 64 letters, digits, '.', '_' or '-'")
  }
}

private func checkDays(_ days: Int) throws {
  guard (1...7300).contains(days) else { throw ValidationError("--days is 1 to 7300") }
}

private func until(_ certificate: Certificate) -> String {
  "valid until \(certificate.expires.formatted(.iso8601.year().month().day()))"
}

struct AuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authority", abstract: "Makes the federation's own certificate authority.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "Its name, such as the federation's.")
  var name: String = "Strata"

  @Option(help: "How long it is valid.")
  var days: Int = Authority.days[.authority] ?? 3650

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let certificate = try options.folder.createAuthority(name, days: days)
      print("authority \(name), \(until(certificate)); keep a copy of \(options.folder.path)/authority.key")
    }
  }
}

struct ServerCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server", abstract: "Makes the server's certificate, in place of the one there is.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The server's host name.")
  var name: String

  @Option(
    help: ArgumentHelp(
      "Another name or address that clients reach it by; may be given more than once.", valueName: "host"))
  var host: [String] = []

  @Option(help: "How long it is valid.")
  var days: Int = Authority.days[.server] ?? 730

  func validate() throws {
    for host in [name] + host {
      guard !host.isEmpty, host.utf8.count <= 253, !host.contains(where: { ", \n".contains($0) }) else {
        throw ValidationError("'\(host)' is not a host name or an address")
      }
    }
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let hosts =
        [name] + host + ["localhost", "127.0.0.1", "::1"].filter { $0 != name && !host.contains($0) }
      let certificate = try options.folder.createServer(name, hosts: hosts, days: days)
      print("server \(hosts.joined(separator: ", ")), \(until(certificate))")
    }
  }
}

struct ClientCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client", abstract: "Makes a client's key and certificate here, to be carried to its box.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  @Option(help: ArgumentHelp("Where they go: the folder 'tls' of the client's state.", valueName: "dir"))
  var out: String

  @Option(help: "How long it is valid.")
  var days: Int = Authority.days[.client] ?? 365

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let folder = ClientCertificate(URL(fileURLWithPath: out, isDirectory: true))
      let certificate = try options.folder.createClient(name, days: days, in: folder)
      print("client \(name), \(until(certificate)): \(folder.path)")
    }
  }
}

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes all certificates of a client.",
    discussion: "A running server ends its connection within ten seconds.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  func run() async throws {
    try await reporting {
      let count = try options.folder.revoke(name)
      guard count > 0 else { throw CertificateError("\(name) has no certificate that is not revoked") }
      print("\(count) of \(name) revoked")
    }
  }
}

struct CertificateListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the certificates that were issued.")

  @OptionGroup var options: CertificateOptions

  func run() async throws {
    try await reporting {
      for one in options.folder.issued {
        let state =
          one.isRevoked ? "revoked" : one.expires < Date() ? "expired" : "valid until"
        let day = one.expires.formatted(.iso8601.year().month().day())
        print(
          "\(one.serial)  \(one.role.rawValue)  \(one.name)  \(state)\(state == "valid until" ? " \(day)" : "")"
        )
      }
    }
  }
}

struct EnrolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enroll",
    abstract: "Prints a one-time code with which a new box fetches its certificate.",
    discussion: """
      On the box: fedclient enroll --server HOST:PORT CODE. The code is valid for \(CertificateFolder.enrolmentHours) \
      hours, for one use. Give it to the box as you would a password.
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  func validate() throws { try checkName(name) }

  func run() async throws {
    try await reporting { print(try options.folder.enrol(name)) }
  }
}
