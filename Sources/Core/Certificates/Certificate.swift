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
