import CSSL
import Foundation
import Support

/// An X.509 certificate.
package final class Certificate: @unchecked Sendable {
  /// The purpose of a certificate, which TLS libraries check through the extended key usage.
  package enum Role: String, Sendable, CaseIterable, Encodable {
    case authority, server, client
  }

  // Never changed after initialisation.
  package let pointer: OpaquePointer

  /// Takes ownership of a certificate.
  package init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Shares ownership of a certificate.
  package init(sharing pointer: OpaquePointer) {
    X509_up_ref(pointer)
    self.pointer = pointer
  }

  /// Parses a PEM. Throws ``CertificateError``.
  package convenience init(pem: String) throws(CertificateError) {
    guard let pointer = PEM.read(pem, { PEM_read_bio_X509($0, nil, nil, nil) }) else {
      throw .openSSL("not a certificate in PEM")
    }
    self.init(owning: pointer)
  }

  deinit { X509_free(pointer) }

  package var pem: String { PEM.text { PEM_write_bio_X509($0, pointer) } }

  /// The subject's common name. It is ``ForeignText``, because it may come from an untrusted peer.
  package var name: String {
    var bytes = [CChar](repeating: 0, count: 256)
    let count = X509_NAME_get_text_by_NID(
      X509_get_subject_name(pointer), NID_commonName, &bytes, Int32(bytes.count))
    return ForeignText(utf8: bytes.prefix(Int(max(count, 0))).map { UInt8(bitPattern: $0) }).description
  }

  /// The serial number in upper-case hexadecimal digits; unique among an authority's certificates.
  package var serial: String {
    guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(pointer), nil), let text = BN_bn2hex(number)
    else { return "" }
    defer {
      BN_free(number)
      CRYPTO_free(text, nil, 0)
    }
    return String(cString: text)
  }

  /// The end of the validity.
  package var expires: Date { Self.date(X509_get0_notAfter(pointer)) ?? .distantPast }

  /// The number of days before expiry from which warnings are shown.
  package static let warningDays = 30

  /// The start of the validity.
  package var begins: Date { Self.date(X509_get0_notBefore(pointer)) ?? .distantFuture }

  private static func date(_ time: UnsafePointer<ASN1_TIME>?) -> Date? {
    var parts = tm()
    guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Date(timeIntervalSince1970: TimeInterval(timegm(&parts)))
  }

  /// The SHA-256 of the whole certificate, 32 bytes.
  package var fingerprint: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    precondition(X509_digest(pointer, EVP_sha256(), &bytes, nil) == 1)
    return bytes
  }

  /// Whether it was signed with the authority's key.
  package func isSigned(by authority: Certificate) -> Bool {
    X509_verify(pointer, X509_get0_pubkey(authority.pointer)) == 1
  }

  /// Whether its extended key usage is that of a server; does not check the dates.
  package var isForServers: Bool { X509_check_purpose(pointer, X509_PURPOSE_SSL_SERVER, 0) == 1 }

  /// Whether it was issued for a key.
  package func belongs(to key: PrivateKey) -> Bool { X509_check_private_key(pointer, key.pointer) == 1 }
}

/// The host names of a server's certificate.
extension Certificate {
  /// The names and addresses in order; empty for a client's certificate.
  package var hosts: [String] {
    guard let extensions = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
    let names = OpaquePointer(extensions)
    defer { GENERAL_NAMES_free(names) }
    return (0..<max(OPENSSL_sk_num(names), 0)).compactMap { index in
      OPENSSL_sk_value(names, index).flatMap { Self.host($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
    }
  }

  /// The hosts that `fedserver certificate server NAME` does not add by default.
  package var otherHosts: [String] {
    let given = [name] + Self.loopback
    return hosts.filter { !given.contains($0) }
  }

  /// The loopback names of every machine.
  package static let loopback = ["localhost", "127.0.0.1", "::1"]

  /// Whether the certificate is valid for a server with this name or address. Addresses are compared with addresses,
  /// names with names.
  package func isFor(_ host: String) -> Bool {
    let verdict = X509_check_ip_asc(pointer, host, 0)
    // -2: not an address.
    return verdict == -2 ? X509_check_host(pointer, host, host.utf8.count, 0, nil) == 1 : verdict == 1
  }

  private static func host(_ name: UnsafePointer<GENERAL_NAME>) -> String? {
    switch name.pointee.type {
    case GEN_DNS:
      guard let bytes = bytes(name.pointee.d.dNSName) else { return nil }
      return ForeignText(utf8: bytes).description
    case GEN_IPADD:
      guard let bytes = bytes(name.pointee.d.iPAddress), [4, 16].contains(bytes.count) else { return nil }
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
      let family = bytes.count == 4 ? AF_INET : AF_INET6
      guard inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
      return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    default: return nil
    }
  }

  private static func bytes(_ text: UnsafeMutablePointer<ASN1_STRING>?) -> [UInt8]? {
    guard let text, let start = ASN1_STRING_get0_data(text) else { return nil }
    return Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(text))))
  }
}

/// The reason why a key, a certificate or a folder of them cannot be used, in one line.
package struct CertificateError: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// Returns an error with OpenSSL's description of its last failure.
  static func openSSL(_ what: String) -> CertificateError {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0, let reason = ERR_reason_error_string(code) else { return CertificateError(what) }
    return CertificateError("\(what): \(String(cString: reason))")
  }

  /// Returns an error with the system's description for a file or folder; `number` is the error number.
  static func system(_ file: URL, _ number: Int32 = errno) -> CertificateError {
    CertificateError("\(file.path): \(String(cString: strerror(number)))")
  }
}

/// Formats of dates in messages about certificates.
extension Date {
  /// The date in UTC, such as 2026-11-24.
  package var day: String { formatted(.iso8601.year().month().day()) }

  /// The date and time in UTC, such as 2026-11-24 17:05 UTC.
  package var minute: String {
    let text = formatted(.iso8601.year().month().day().time(includingFractionalSeconds: false))
    return "\(text.prefix(16).replacing("T", with: " ")) UTC"
  }
}
