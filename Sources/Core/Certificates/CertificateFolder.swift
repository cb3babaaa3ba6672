import Foundation

/// The folder in which a federation keeps its authority and its server's certificate: authority.crt,
/// authority.key, server.crt, server.key; `issued` and `revoked`, a line a certificate; enrolments.
///
/// The authority's key may be kept elsewhere; then nobody can enrol, and all else goes on.
package struct CertificateFolder: Sendable {
  let files: KeyFiles

  package init(_ folder: URL) { files = KeyFiles(folder: folder) }

  package var path: String { files.folder.path }

  // MARK: - Making

  /// Makes the authority. Throws ``CertificateError``, also where there is one: with another, all certificates
  /// that it has issued would be worth nothing.
  package func createAuthority(_ name: String, days: Int) throws(CertificateError) -> Certificate {
    guard !files.exists("authority.crt"), !files.exists("authority.key") else {
      throw CertificateError("\(path) has an authority already; its certificates would be lost with it")
    }
    try files.create()
    let authority = try Authority(creating: name, days: days)
    try files.write(authority.key.pem, to: "authority.key")
    try files.write(authority.certificate.pem, to: "authority.crt")
    return authority.certificate
  }

  /// Makes the server's certificate and key, in place of those there are. Throws ``CertificateError``.
  package func createServer(
    _ name: String, hosts: [String], days: Int
  ) throws(CertificateError) -> Certificate {
    let key = try PrivateKey()
    let certificate = try authority.issue(.server, name: name, hosts: hosts, key: key, days: days)
    try files.write(key.pem, to: "server.key")
    try files.write(certificate.pem, to: "server.crt")
    try record(certificate, .server)
    return certificate
  }

  /// Makes a client's certificate and key in a folder of its own. Throws ``CertificateError``.
  package func createClient(
    _ name: String, days: Int, in folder: ClientCertificate
  ) throws(CertificateError) -> Certificate {
    let key = try PrivateKey()
    let certificate = try authority.issue(.client, name: name, key: key, days: days)
    try folder.keep(key: key, certificate: certificate, authority: authorityCertificate)
    try record(certificate, .client)
    return certificate
  }

  /// A client's certificate for its own key. Throws ``CertificateError``.
  package func issue(
    _ request: SigningRequest, name: String, days: Int
  ) throws(CertificateError) -> Certificate {
    let certificate = try authority.issue(request, name: name, days: days)
    try record(certificate, .client)
    return certificate
  }

  // MARK: - Reading

  /// Throws ``CertificateError``.
  package var authority: Authority {
    get throws(CertificateError) {
      let certificate = try authorityCertificate
      return try Authority(certificate, try Self.read(files.url("authority.key")))
    }
  }

  /// Whether new certificates can be issued here.
  package var canIssue: Bool { files.exists("authority.key") }

  package var authorityCertificate: Certificate {
    get throws(CertificateError) { try Self.read(files.url("authority.crt")) }
  }

  /// The server's own. Throws ``CertificateError``.
  package var server: Identity {
    get throws(CertificateError) {
      try Identity(
        certificate: try Self.read(files.url("server.crt")),
        key: try Self.read(files.url("server.key")),
        authority: authorityCertificate)
    }
  }

  /// Changes when the server's files do.
  package var stamp: [String] { files.stamp(["authority.crt", "server.crt", "server.key"]) }

  /// Reads a file; an error names it.
  static func read<Content: PEMContent>(_ file: URL) throws(CertificateError) -> Content {
    let files = KeyFiles(folder: file.deletingLastPathComponent())
    let text = try files.read(file.lastPathComponent)
    do { return try Content(pem: text) } catch { throw CertificateError("\(file.path): \(error)") }
  }

  // MARK: - Books

  /// A line of `issued`.
  package struct Issued: Sendable, Hashable, Encodable {
    package let serial: String
    package let role: Certificate.Role
    package let name: String
    package let expires: Date
    package let isRevoked: Bool
  }

  /// All certificates that were issued, in order.
  package var issued: [Issued] {
    let revoked = revokedSerials
    return files.lines("issued").compactMap { words in
      guard words.count == 4, let role = Certificate.Role(rawValue: words[1]), let time = Double(words[3])
      else { return nil }
      return Issued(
        serial: words[0], role: role, name: words[2], expires: Date(timeIntervalSince1970: time),
        isRevoked: revoked.contains(words[0]))
    }
  }

  /// Serial numbers of certificates that are not worth anything any more.
  package var revokedSerials: Set<String> { Set(files.lines("revoked").compactMap(\.first)) }

  /// Changes when something was revoked.
  package var revocationStamp: [String] { files.stamp(["revoked"]) }

  /// What was taken from a client.
  package struct Revoked: Sendable, Hashable {
    package let certificates: Int
    /// Codes that were given out for it and could still be used.
    package let codes: Int
  }

  /// Revokes all certificates of a client, and withdraws its codes. Returns how many; throws ``CertificateError``.
  package func revoke(_ name: String) throws(CertificateError) -> Revoked {
    // First the codes: none becomes a certificate behind the back of what follows.
    let codes = try withdrawCodes(of: name)
    let open = issued.filter { $0.name == name && $0.role == .client && !$0.isRevoked }
    for certificate in open { try files.append("\(certificate.serial) \(name)", to: "revoked") }
    return Revoked(certificates: open.count, codes: codes)
  }

  private func record(_ certificate: Certificate, _ role: Certificate.Role) throws(CertificateError) {
    let expires = Int(certificate.expires.timeIntervalSince1970)
    try files.append("\(certificate.serial) \(role.rawValue) \(certificate.name) \(expires)", to: "issued")
  }
}

/// Who somebody is in TLS: a certificate, its key, and the authority that both sides believe.
package struct Identity: Sendable {
  package let certificate: Certificate
  package let key: PrivateKey
  package let authority: Certificate

  /// Throws ``CertificateError`` where they do not belong together.
  package init(certificate: Certificate, key: PrivateKey, authority: Certificate) throws(CertificateError) {
    guard certificate.belongs(to: key) else {
      throw CertificateError("the key is not that of the certificate of \(certificate.name)")
    }
    guard certificate.isSigned(by: authority) else {
      throw CertificateError("the certificate of \(certificate.name) is not this authority's")
    }
    (self.certificate, self.key, self.authority) = (certificate, key, authority)
  }
}
