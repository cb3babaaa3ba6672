import CSSL
import Foundation
import Support

/// An X.509 certificate.
package final class Certificate: @unchecked Sendable {
  /// What a certificate is for; TLS libraries check it by the extended key usage.
  package enum Role: String, Sendable, CaseIterable, Encodable {
    case authority, server, client
  }

  // Never changed after it is made.
  package let pointer: OpaquePointer

  /// Takes a certificate over.
  package init(owning pointer: OpaquePointer) { self.pointer = pointer }

  /// Shares a certificate with its other owners.
  package init(sharing pointer: OpaquePointer) {
    X509_up_ref(pointer)
    self.pointer = pointer
  }

  /// Reads a PEM. Throws ``CertificateError``.
  package convenience init(pem: String) throws(CertificateError) {
    guard let pointer = PEM.read(pem, { PEM_read_bio_X509($0, nil, nil, nil) }) else {
      throw .openSSL("not a certificate in PEM")
    }
    self.init(owning: pointer)
  }

  deinit { X509_free(pointer) }

  package var pem: String { PEM.text { PEM_write_bio_X509($0, pointer) } }

  /// The subject's common name: whose it is. ``ForeignText``, as whoever shows a certificate writes what they like.
  package var name: String {
    var bytes = [CChar](repeating: 0, count: 256)
    let count = X509_NAME_get_text_by_NID(
      X509_get_subject_name(pointer), NID_commonName, &bytes, Int32(bytes.count))
    return ForeignText(utf8: bytes.prefix(Int(max(count, 0))).map { UInt8(bitPattern: $0) }).description
  }

  /// Hexadecimal digits, upper case; unique among an authority's certificates.
  package var serial: String {
    guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(pointer), nil), let text = BN_bn2hex(number)
    else { return "" }
    defer {
      BN_free(number)
      CRYPTO_free(text, nil, 0)
    }
    return String(cString: text)
  }

  /// When it is not valid any more.
  package var expires: Date { Self.date(X509_get0_notAfter(pointer)) ?? .distantPast }

  /// Days before a certificate's end from which on it is spoken of.
  package static let warningDays = 30

  /// Before when it is not valid.
  package var begins: Date { Self.date(X509_get0_notBefore(pointer)) ?? .distantFuture }

  private static func date(_ time: UnsafePointer<ASN1_TIME>?) -> Date? {
    var parts = tm()
    guard ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
    return Date(timeIntervalSince1970: TimeInterval(timegm(&parts)))
  }

  /// SHA-256 of the whole certificate, 32 bytes.
  package var fingerprint: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    precondition(X509_digest(pointer, EVP_sha256(), &bytes, nil) == 1)
    return bytes
  }

  /// Whether it was signed by another's key.
  package func isSigned(by authority: Certificate) -> Bool {
    X509_verify(pointer, X509_get0_pubkey(authority.pointer)) == 1
  }

  /// Whether it was made for a server, whatever its dates.
  package var isForServers: Bool { X509_check_purpose(pointer, X509_PURPOSE_SSL_SERVER, 0) == 1 }

  /// Whether it was made for a key.
  package func belongs(to key: PrivateKey) -> Bool { X509_check_private_key(pointer, key.pointer) == 1 }
}

/// What a server's certificate says it is reached by.
extension Certificate {
  /// Names and addresses, in their order; none in a client's certificate.
  package var hosts: [String] {
    guard let extensions = X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else { return [] }
    let names = OpaquePointer(extensions)
    defer { GENERAL_NAMES_free(names) }
    return (0..<max(OPENSSL_sk_num(names), 0)).compactMap { index in
      OPENSSL_sk_value(names, index).flatMap { Self.host($0.assumingMemoryBound(to: GENERAL_NAME.self)) }
    }
  }

  /// Those that `fedserver certificate server NAME` would not put there by itself.
  package var otherHosts: [String] {
    let given = [name] + Self.loopback
    return hosts.filter { !given.contains($0) }
  }

  /// What every machine calls itself.
  package static let loopback = ["localhost", "127.0.0.1", "::1"]

  /// Whether a client that calls its server so may believe this certificate. An address is compared with addresses,
  /// a name with names.
  package func isFor(_ host: String) -> Bool {
    let verdict = X509_check_ip_asc(pointer, host, 0)
    // -2: it is no address.
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

/// Why a key, a certificate or a folder of them cannot be used, in one line.
package struct CertificateError: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// With what OpenSSL has to say about its last failure.
  static func openSSL(_ what: String) -> CertificateError {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    guard code != 0, let reason = ERR_reason_error_string(code) else { return CertificateError(what) }
    return CertificateError("\(what): \(String(cString: reason))")
  }

  /// What the system says of a file or folder; `number` is its error's.
  static func system(_ file: URL, _ number: Int32 = errno) -> CertificateError {
    CertificateError("\(file.path): \(String(cString: strerror(number)))")
  }
}

/// Dates as messages about certificates show them.
extension Date {
  /// Such as 2026-11-24, of UTC.
  package var day: String { formatted(.iso8601.year().month().day()) }

  /// Such as 2026-11-24 17:05 UTC.
  package var minute: String {
    let text = formatted(.iso8601.year().month().day().time(includingFractionalSeconds: false))
    return "\(text.prefix(16).replacing("T", with: " ")) UTC"
  }
}
