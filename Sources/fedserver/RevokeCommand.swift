import ArgumentParser
import Certificates
import Commands
import Foundation

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes all certificates of a client, and the codes it has not used.",
    discussion: """
      A running server ends its connection within ten seconds; a new code lets it in again. For example:

        fedserver certificate revoke box-1 --tls tls
      """)

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  func run() async throws {
    try await reporting {
      let revoked = try options.folder.revoke(name)
      let parts = [
        Self.count(revoked.certificates, "certificate"), Self.count(revoked.codes, "unused code"),
      ]
      .compactMap { $0 }
      guard !parts.isEmpty else {
        throw CertificateError("\(name) has no certificate that is not revoked, and no unused code")
      }
      try StandardOutput.write("\(parts.joined(separator: " and ")) of \(name) revoked")
    }
  }

  private static func count(_ number: Int, _ what: String) -> String? {
    number == 0 ? nil : "\(number) \(what)\(number == 1 ? "" : "s")"
  }
}

struct CertificateListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists the certificates that were issued, and the codes that were not used.",
    discussion: """
      Serial number, role, name, and until when each is valid, or that it is revoked or expired; behind them the \
      codes with which boxes can still enroll, each with its name and its end. For example:

        fedserver certificate list --tls tls
      """)

  @OptionGroup var options: CertificateOptions

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting {
      let books = Books(certificates: options.folder.issued, codes: options.folder.openCodes())
      if json { return try StandardOutput.write(Commands.json(books)) }
      for one in books.certificates {
        try StandardOutput.write("\(one.serial)  \(one.role.rawValue)  \(one.name)  \(Self.state(one))")
      }
      for code in books.codes {
        try StandardOutput.write("unused code  \(code.name)  good until \(code.expires.minute)")
      }
    }
  }

  private struct Books: Encodable {
    let certificates: [CertificateFolder.Issued]
    let codes: [CertificateFolder.OpenCode]
  }

  private static func state(_ one: CertificateFolder.Issued) -> String {
    if one.isRevoked { return "revoked" }
    return one.expires < Date() ? "expired" : "valid until \(one.expires.day)"
  }
}
