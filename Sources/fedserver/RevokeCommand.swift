import ArgumentParser
import Certificates
import Foundation

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
