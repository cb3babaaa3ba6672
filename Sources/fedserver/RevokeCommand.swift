import ArgumentParser
import Certificates
import Commands
import Foundation
import Server

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes all certificates and unused codes of a client.",
    discussion: """
      A running server closes its connection within ten seconds. To admit it again, give it a new code. For example:

        fedserver certificate revoke device-1 --tls tls
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
        throw CertificateError("\(name) has no unrevoked certificate and no unused code")
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
    abstract: "Lists the issued certificates and the unused codes.",
    discussion: """
      Prints the serial number, role, name and state of each certificate: the end of its validity, expired or revoked; \
      then the name and the end of validity of each unused code. --database adds the revocations that only the \
      database's copy of the list has. For example:

        fedserver certificate list --tls tls
      """)

  @OptionGroup var options: CertificateOptions
  @OptionGroup var copy: RevocationCopy

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting {
      let (listed, kept) = (try options.folder.revocations, try copy.revocations(for: options.folder))
      let serials = Set(listed.map(\.serial))
      let missing = kept.filter { !serials.contains($0.serial) }
      let books = Books(
        certificates: try options.folder.issued(revoked: listed + missing), missing: missing,
        codes: try options.folder.openCodes())
      if json { return try StandardOutput.write(Commands.json(books)) }
      for one in books.certificates {
        try StandardOutput.write("\(one.serial)  \(one.role.rawValue)  \(one.name)  \(Self.state(one))")
      }
      for one in missing {
        try StandardOutput.write("missing in the list of revoked certificates  \(one.serial)  \(one.name)")
      }
      for code in books.codes {
        try StandardOutput.write("unused code  \(code.name)  valid until \(code.expires.minute)")
      }
    }
  }

  private struct Books: Encodable {
    let certificates: [CertificateFolder.Issued]
    /// Revocations that only the database's copy of the list contains.
    let missing: [CertificateFolder.Revocation]
    let codes: [CertificateFolder.OpenCode]
  }

  private static func state(_ one: CertificateFolder.Issued) -> String {
    if one.isRevoked { return "revoked" }
    return one.expires < Date() ? "expired" : "valid until \(one.expires.day)"
  }
}

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Restores the list of revoked certificates if it is missing or damaged.",
    discussion: """
      The server reads the list from the file 'revoked' in its folder of certificates, and rejects all clients without \
      it. The restored list has the valid lines of the old one and, if --database names it, those of the server's \
      copy. If both are lost, no client is revoked: revoke the clients again. For example:

        fedserver certificate restore --tls tls --database strata.sqlite
      """)

  @OptionGroup var options: CertificateOptions
  @OptionGroup var copy: RevocationCopy

  func run() async throws {
    try await reporting {
      let known = try copy.revocations(for: options.folder)
      let (list, omitted) = try options.folder.restoreRevocations(known)
      for one in list {
        print("\(one.serial)  \(one.name)  revoked\(one.date.map { " on \($0.day)" } ?? "")")
      }
      let lost = omitted > 0 ? "; invalid lines dropped: \(omitted)" : ""
      print("revoked certificates in \(options.folder.path)/revoked: \(list.count)\(lost)")
    }
  }
}

/// The option for a server's database, which has a copy of the list of revoked certificates.
struct RevocationCopy: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server's SQLite file, which has a copy of the list. It is only read.", valueName: "file"),
    completion: .database)
  var database: String?

  /// Returns the revocations of a folder's authority; none without a database. Throws `StoreError` or
  /// `CertificateError`.
  func revocations(for folder: CertificateFolder) throws -> [CertificateFolder.Revocation] {
    let authority = try folder.authorityCertificate.serial
    return try database.map { try History($0).revocations(of: authority) } ?? []
  }
}
