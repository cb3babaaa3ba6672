import ArgumentParser
import Certificates
import Commands
import Foundation
import Server

struct RevokeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Revokes all certificates of a client, and the codes it has not used.",
    discussion: """
      A running server ends its connection within ten seconds; a new code lets it in again. For example:

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
      codes with which devices can still enroll, each with its name and its end. With --database also what was revoked \
      by the database's copy of the list alone. For example:

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
        try StandardOutput.write("not in the list of revoked ones  \(one.serial)  \(one.name)")
      }
      for code in books.codes {
        try StandardOutput.write("unused code  \(code.name)  good until \(code.expires.minute)")
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
    abstract: "Writes the list of revoked certificates anew, where it is missing or damaged.",
    discussion: """
      The server wants the list 'revoked' beside the authority's certificate, and lets nobody in without it. The new \
      one has every line of the old one that makes sense and, with --database, the copy that the server keeps there. \
      Without both nobody is revoked any more: revoke again who should be. For example:

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
      let lost = omitted > 0 ? "; lines that made no sense and are gone: \(omitted)" : ""
      print("revoked certificates in \(options.folder.path)/revoked: \(list.count)\(lost)")
    }
  }
}

/// The option for a server's database, which has a copy of the list of revoked certificates.
struct RevocationCopy: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server's SQLite file, which has a copy of the list; nothing in it is changed.", valueName: "file"),
    completion: .database)
  var database: String?

  /// Returns the revocations of a folder's authority; none without a database. Throws `StoreError` or
  /// `CertificateError`.
  func revocations(for folder: CertificateFolder) throws -> [CertificateFolder.Revocation] {
    let authority = try folder.authorityCertificate.serial
    return try database.map { try History($0).revocations(of: authority) } ?? []
  }
}
