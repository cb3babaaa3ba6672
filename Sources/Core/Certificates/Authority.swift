import CSSL
import Foundation

/// The certificate authority of a federation. It issues certificates to the server and to clients.
package struct Authority: Sendable {
  package let certificate: Certificate
  package let key: PrivateKey

  /// Throws ``CertificateError`` if the key does not match the certificate.
  package init(_ certificate: Certificate, _ key: PrivateKey) throws(CertificateError) {
    guard certificate.belongs(to: key) else {
      throw CertificateError("the authority's key does not belong to its certificate")
    }
    (self.certificate, self.key) = (certificate, key)
  }

  /// Creates a new authority. Throws ``CertificateError``.
  package init(creating name: String, days: Int) throws(CertificateError) {
    key = try PrivateKey()
    certificate = try Self.sign(
      .authority, name: name, hosts: [], publicKey: key.pointer, days: days, issuer: nil, key: key)
  }

  /// Issues a certificate for the key of a client, or of a server with the names or addresses `hosts`. Throws
  /// ``CertificateError``.
  package func issue(
    _ role: Certificate.Role, name: String, hosts: [String] = [], key: PrivateKey, days: Int
  ) throws(CertificateError) -> Certificate {
    try Self.sign(
      role, name: name, hosts: hosts, publicKey: key.pointer, days: days, issuer: certificate, key: self.key)
  }

  /// Issues a client's certificate for a request. It uses the argument `name` and ignores the name in the request.
  /// Throws ``CertificateError``.
  package func issue(
    _ request: SigningRequest, name: String, days: Int
  ) throws(CertificateError) -> Certificate {
    guard let publicKey = X509_REQ_get0_pubkey(request.pointer) else {
      throw .openSSL("a request without a key")
    }
    return try Self.sign(
      .client, name: name, hosts: [], publicKey: publicKey, days: days, issuer: certificate, key: key)
  }

  private static func sign(
    _ role: Certificate.Role, name: String, hosts: [String], publicKey: OpaquePointer, days: Int,
    issuer: Certificate?, key: PrivateKey
  ) throws(CertificateError) -> Certificate {
    guard let pointer = X509_new() else { throw .openSSL("no certificate can be made") }
    let certificate = Certificate(owning: pointer)
    let subject = X509_get_subject_name(pointer)
    var serial = [UInt8](repeating: 0, count: 16)
    guard RAND_bytes(&serial, Int32(serial.count)) == 1, let number = BN_bin2bn(serial, 16, nil) else {
      throw .openSSL("no serial number")
    }
    defer { BN_free(number) }
    // Version 3. The validity starts an hour ago, for devices whose clock is slow.
    guard X509_set_version(pointer, 2) == 1,
      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(pointer)) != nil,
      X509_gmtime_adj(X509_getm_notBefore(pointer), -3600) != nil,
      X509_time_adj_ex(X509_getm_notAfter(pointer), Int32(days), 0, nil) != nil,
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name, -1, -1, 0) == 1,
      X509_set_issuer_name(pointer, issuer.map { X509_get_subject_name($0.pointer) } ?? subject) == 1,
      X509_set_pubkey(pointer, publicKey) == 1
    else { throw .openSSL("no certificate can be made for \(name)") }
    for (extensionNumber, value) in extensions(role, hosts) {
      try add(extensionNumber, value, to: pointer, issuer: issuer?.pointer ?? pointer)
    }
    guard X509_sign(pointer, key.pointer, EVP_sha256()) > 0 else { throw .openSSL("no signature") }
    return certificate
  }

  private static func extensions(_ role: Certificate.Role, _ hosts: [String]) -> [(Int32, String)] {
    switch role {
    case .authority:
      // It signs servers and clients, but no other authority.
      [
        (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
        (NID_key_usage, "critical,keyCertSign,cRLSign"), (NID_subject_key_identifier, "hash"),
      ]
    case .server, .client:
      [
        (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        (NID_ext_key_usage, role == .server ? "serverAuth" : "clientAuth"),
        (NID_authority_key_identifier, "keyid"),
      ]
        + (hosts.isEmpty
          ? [] : [(NID_subject_alt_name, hosts.map(Self.alternativeName).joined(separator: ","))])
    }
  }

  private static func alternativeName(_ host: String) -> String {
    var (four, six) = (in_addr(), in6_addr())
    let isAddress = inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
    return "\(isAddress ? "IP" : "DNS"):\(host)"
  }

  private static func add(
    _ number: Int32, _ value: String, to certificate: OpaquePointer, issuer: OpaquePointer
  ) throws(CertificateError) {
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
    guard let made = X509V3_EXT_conf_nid(nil, &context, number, value) else {
      throw .openSSL("'\(value)' in a certificate")
    }
    defer { X509_EXTENSION_free(made) }
    guard X509_add_ext(certificate, made, -1) == 1 else { throw .openSSL("'\(value)' in a certificate") }
  }
}

extension Certificate.Role {
  /// The default validity of a certificate in days. An authority outlives a federation; a server's certificate is
  /// renewed manually every two years; the certificate of a lost device expires after a year even if it is not revoked.
  package var days: Int {
    switch self {
    case .authority: 3650
    case .server: 730
    case .client: 365
    }
  }
}

/// The folder of a client's certificate: client.crt, client.key, authority.crt.
package struct ClientCertificate: Sendable {
  private let files: KeyFiles
  private let own: IdentityFiles

  package init(_ folder: URL) {
    files = KeyFiles(folder: folder)
    own = IdentityFiles(files: files, name: "client")
  }

  package var path: String { files.folder.path }

  /// Whether the folder contains a certificate. Throws ``CertificateError`` if it is not accessible.
  package var exists: Bool { get throws(CertificateError) { try files.exists("client.crt") } }

  /// Writes a new key next to the existing files, to verify before a certificate is requested that it can be stored.
  /// Throws ``CertificateError``, which names the file.
  package func draft(_ key: PrivateKey) throws(CertificateError) {
    try files.create()
    try own.draft(key)
  }

  /// Removes the key that ``draft(_:)`` wrote.
  package func dropDraft() { own.dropDraft() }

  /// Stores the certificate with its key and authority. A process that reads the folder meanwhile gets the old or the new
  /// identity. Throws ``CertificateError``.
  package func keep(
    key: PrivateKey, certificate: Certificate, authority: Certificate
  ) throws(CertificateError) {
    try files.create()
    try own.replace(key: key, certificate: certificate, authority: authority)
  }

  /// The certificate with its key and authority. Throws ``CertificateError``, which names the file.
  package var identity: Identity { get throws(CertificateError) { try own.identity } }
}
