import ArgumentParser
import Certificates
import Commands
import Foundation

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes all certificates of a client.",
    discussion: """
      A running server ends its connection within ten seconds; a new code lets it in again. For example:

        fedserver certificate revoke box-1 --tls tls
      """)

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
    commandName: "list", abstract: "Lists the certificates that were issued.",
    discussion: """
      Serial number, role, name, and until when each is valid, or that it is revoked or expired. For example:

        fedserver certificate list --tls tls
      """)

  @OptionGroup var options: CertificateOptions

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting {
      let issued = options.folder.issued
      if json { return print(try Commands.json(issued)) }
      for one in issued { print("\(one.serial)  \(one.role.rawValue)  \(one.name)  \(Self.state(one))") }
    }
  }

  private static func state(_ one: CertificateFolder.Issued) -> String {
    if one.isRevoked { return "revoked" }
    return one.expires < Date() ? "expired" : "valid until \(day(one.expires))"
  }
}
