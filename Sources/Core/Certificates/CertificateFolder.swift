import Foundation

/// The folder of a federation's authority and server certificate: authority.crt, authority.key, server.crt, server.key;
/// `issued` and `revoked` with one line per certificate; enrolments.
///
/// The authority's key may be stored elsewhere; without it no client can enrol, but everything else works. Without
/// `revoked`, all clients are rejected, because the valid certificates are unknown.
package struct CertificateFolder: Sendable {
  let files: KeyFiles

  package init(_ folder: URL) { files = KeyFiles(folder: folder) }

  package var path: String { files.folder.path }

  // MARK: - Creation

  /// Creates the authority. Throws ``CertificateError``, also if there is one already: a new authority would invalidate
  /// all certificates issued so far.
  package func createAuthority(_ name: String, days: Int) throws(CertificateError) -> Certificate {
    guard try !files.exists("authority.crt"), try !files.exists("authority.key") else {
      throw CertificateError("\(path) has an authority already, which is not replaced")
    }
    try files.create()
    let authority = try Authority(creating: name, days: days)
    // An authority always has both record files, which are empty at first.
    for book in ["issued", "revoked"] where try !files.exists(book) { try files.write("", to: book) }
    try files.write(authority.key.pem, to: "authority.key")
    try files.write(authority.certificate.pem, to: "authority.crt")
    return authority.certificate
  }

  /// Creates the server's certificate and key and replaces existing ones. Throws ``CertificateError``.
  package func createServer(
    _ name: String, hosts: [String], days: Int
  ) throws(CertificateError) -> Certificate {
    let key = try PrivateKey()
    let certificate = try authority.issue(.server, name: name, hosts: hosts, key: key, days: days)
    try IdentityFiles(files: files, name: "server").replace(key: key, certificate: certificate)
    try record(certificate, .server)
    return certificate
  }

  /// Creates a client's certificate and key in a separate folder. Throws ``CertificateError``.
  package func createClient(
    _ name: String, days: Int, in folder: ClientCertificate
  ) throws(CertificateError) -> Certificate {
    let key = try PrivateKey()
    let certificate = try authority.issue(.client, name: name, key: key, days: days)
    try folder.keep(key: key, certificate: certificate, authority: authorityCertificate)
    try record(certificate, .client)
    return certificate
  }

  /// Issues a client's certificate for a request. Throws ``CertificateError``.
  package func issue(
    _ request: SigningRequest, name: String, days: Int
  ) throws(CertificateError) -> Certificate {
    let certificate = try authority.issue(request, name: name, days: days)
    try record(certificate, .client)
    return certificate
  }

  // MARK: - Reading

  /// The authority with its key. Throws ``CertificateError``.
  package var authority: Authority {
    get throws(CertificateError) {
      let certificate = try authorityCertificate
      return try Authority(certificate, try Self.read(files.url("authority.key")))
    }
  }

  /// Whether new certificates can be issued here. Throws ``CertificateError`` if the folder is not accessible.
  package var canIssue: Bool { get throws(CertificateError) { try files.exists("authority.key") } }

  /// The authority's certificate. Throws ``CertificateError``, also if there is none.
  package var authorityCertificate: Certificate {
    get throws(CertificateError) { try Self.read(files.url("authority.crt")) }
  }

  /// The server's certificate with its key and authority. Throws ``CertificateError``.
  package var server: Identity {
    get throws(CertificateError) {
      try IdentityFiles(files: files, name: "server").identity
    }
  }

  /// A stamp that changes when the server's files change.
  package var stamp: [String] { files.stamp(["authority.crt", "server.crt", "server.key"]) }

  /// Reads a file. Throws ``CertificateError``, which names the file.
  static func read<Content: PEMContent>(_ file: URL) throws(CertificateError) -> Content {
    let files = KeyFiles(folder: file.deletingLastPathComponent())
    let text = try files.read(file.lastPathComponent, secret: Content.isSecret)
    do { return try Content(pem: text) } catch { throw CertificateError("\(file.path): \(error)") }
  }

  // MARK: - Records

  /// A line of `issued`.
  package struct Issued: Sendable, Hashable, Encodable {
    package let serial: String
    package let role: Certificate.Role
    package let name: String
    package let expires: Date
    package let isRevoked: Bool
  }

  /// Returns all issued certificates in order; those in `revoked` are marked as revoked. Throws ``CertificateError``,
  /// also if there is no authority here.
  package func issued(revoked: [Revocation]) throws(CertificateError) -> [Issued] {
    _ = try authorityCertificate
    let revoked = Set(revoked.map(\.serial))
    return try files.lines("issued") { words in
      guard words.count == 4, Self.isSerial(words[0]),
        let role = Certificate.Role(rawValue: String(words[1])),
        let time = Double(words[3]), time.isFinite
      else { return nil }
      return Issued(
        serial: String(words[0]), role: role, name: String(words[2]),
        expires: Date(timeIntervalSince1970: time), isRevoked: revoked.contains(String(words[0])))
    }
  }

  /// A revoked certificate: a line of `revoked`.
  package struct Revocation: Sendable, Hashable, Encodable {
    package let serial: String
    /// The name of the certificate's client.
    package let name: String
    /// The date of revocation; nil if it was recorded by an earlier version without dates.
    package let date: Date?

    package init(serial: String, name: String, date: Date?) {
      (self.serial, self.name, self.date) = (serial, name, date)
    }

    fileprivate var line: String {
      ([serial, name] + (date.map { ["\(Int($0.timeIntervalSince1970))"] } ?? [])).joined(separator: " ")
    }

    fileprivate init?(_ words: [Substring]) {
      guard (2...3).contains(words.count), CertificateFolder.isSerial(words[0]) else { return nil }
      guard words.count == 3 else {
        self.init(serial: String(words[0]), name: String(words[1]), date: nil)
        return
      }
      guard let seconds = Int(words[2]), (0...1 << 40).contains(seconds) else { return nil }
      self.init(
        serial: String(words[0]), name: String(words[1]),
        date: Date(timeIntervalSince1970: TimeInterval(seconds)))
    }
  }

  /// All revocations. Throws ``CertificateError`` if there is no authority here, or if the list cannot be read or is
  /// malformed; then no certificate can be trusted.
  package var revocations: [Revocation] {
    get throws(CertificateError) {
      _ = try authorityCertificate
      do { return try files.lines("revoked", Revocation.init) } catch {
        throw CertificateError(
          "\(error); restore the list of revoked certificates with fedserver certificate restore --tls \(path)"
        )
      }
    }
  }

  /// A stamp that changes when the list of revocations changes.
  package var revocationStamp: [String] { files.stamp(["revoked"]) }

  /// The result of revoking a client.
  package struct Revoked: Sendable, Hashable {
    package let certificates: Int
    /// The number of unused, valid codes that were withdrawn.
    package let codes: Int
  }

  /// Revokes all certificates of a client and withdraws its codes. Returns their numbers. Throws ``CertificateError``.
  package func revoke(_ name: String, now: Date = Date()) throws(CertificateError) -> Revoked {
    let certificates = try issued(revoked: try revocations)
    // Codes are withdrawn first, so that none is exchanged for a certificate meanwhile.
    let codes = try withdrawCodes(of: name)
    let open = certificates.filter { $0.name == name && $0.role == .client && !$0.isRevoked }
    for certificate in open {
      try files.append(Revocation(serial: certificate.serial, name: name, date: now).line, to: "revoked")
    }
    return Revoked(certificates: open.count, codes: codes)
  }

  /// Rewrites the list of revocations from its well-formed lines and `known`. Returns the new list and the number of
  /// omitted lines. Throws ``CertificateError``, also if there is no authority here or the list cannot be read.
  package func restoreRevocations(
    _ known: [Revocation]
  ) throws(CertificateError) -> (list: [Revocation], omitted: Int) {
    _ = try authorityCertificate
    var list: [Revocation?] = []
    if try files.exists("revoked") { list = try files.lines("revoked") { .some(Revocation($0)) } }
    let kept = list.compactMap { $0 }
    let serials = Set(kept.map(\.serial))
    let all = kept + known.filter { !serials.contains($0.serial) }
    try files.write(all.map { "\($0.line)\n" }.joined(), to: "revoked")
    return (all, list.count - kept.count)
  }

  /// Whether a text can be a serial number, which has at most twenty bytes also in certificates of other authorities.
  private static func isSerial(_ text: Substring) -> Bool {
    (1...40).contains(text.utf8.count) && text.allSatisfy { $0.isASCII && $0.isHexDigit }
  }

  private func record(_ certificate: Certificate, _ role: Certificate.Role) throws(CertificateError) {
    let expires = Int(certificate.expires.timeIntervalSince1970)
    try files.append("\(certificate.serial) \(role.rawValue) \(certificate.name) \(expires)", to: "issued")
  }
}

/// A TLS identity: a certificate, its key, and the authority that both sides trust.
package struct Identity: Sendable {
  package let certificate: Certificate
  package let key: PrivateKey
  package let authority: Certificate

  /// Throws ``CertificateError`` if the parts do not match.
  package init(certificate: Certificate, key: PrivateKey, authority: Certificate) throws(CertificateError) {
    guard certificate.belongs(to: key) else {
      throw CertificateError("the key does not belong to the certificate of \(certificate.name)")
    }
    guard certificate.isSigned(by: authority) else {
      throw CertificateError("the certificate of \(certificate.name) was not issued by this authority")
    }
    (self.certificate, self.key, self.authority) = (certificate, key, authority)
  }
}
