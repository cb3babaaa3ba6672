import CSSL
import Foundation

/// A private key on the curve P-256: 128 bits of security, and the smallest handshake that every TLS library supports.
package final class PrivateKey: @unchecked Sendable {
  // Never changed after initialisation, so OpenSSL permits concurrent use.
  package let pointer: OpaquePointer

  /// Generates a key from the system's random numbers. Throws ``CertificateError``.
  package init() throws(CertificateError) {
    guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw .openSSL("no key can be made") }
    defer { EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard EVP_PKEY_keygen_init(context) == 1,
      EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1,
      EVP_PKEY_keygen(context, &key) == 1, let key
    else { throw .openSSL("no key can be made") }
    pointer = key
  }

  /// Parses an unencrypted PEM. Throws ``CertificateError``.
  package init(pem: String) throws(CertificateError) {
    // OpenSSL would prompt for the password of an encrypted key on the terminal, which a daemon does not have.
    let key = PEM.read(pem) { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil) }
    guard let key else { throw .openSSL("not a private key in PEM") }
    pointer = key
  }

  deinit { EVP_PKEY_free(pointer) }

  /// The key as PKCS #8, not encrypted.
  package var pem: String { PEM.text { PEM_write_bio_PrivateKey($0, pointer, nil, nil, 0, nil, nil) } }
}

/// Converts between PEM texts and OpenSSL objects.
enum PEM {
  /// Returns the output of `write`.
  static func text(_ write: (OpaquePointer) -> Int32) -> String {
    guard let bio = BIO_new(BIO_s_mem()) else { preconditionFailure("no memory for a text") }
    defer { BIO_free(bio) }
    precondition(write(bio) == 1, "a key or certificate in memory can always be written")
    var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
    let count = BIO_read(bio, &bytes, Int32(bytes.count))
    return String(decoding: bytes.prefix(Int(max(count, 0))), as: UTF8.self)
  }

  /// Returns the object that `read` parses from a text; nil if it fails.
  static func read(_ text: String, _ read: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    let bytes = Array(text.utf8)
    guard let bio = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { return nil }
    defer { BIO_free(bio) }
    // The bytes must remain alive until `read` returns.
    return withExtendedLifetime(bytes) { read(bio) }
  }
}

/// The content of a PEM file.
protocol PEMContent {
  /// Whether only its owner may read it.
  static var isSecret: Bool { get }

  init(pem: String) throws(CertificateError)
}

extension Certificate: PEMContent {
  static var isSecret: Bool { false }
}

extension PrivateKey: PEMContent {
  static var isSecret: Bool { true }
}

/// A request for a certificate: a name and a public key, signed with the private key, which remains on the device.
package final class SigningRequest: @unchecked Sendable {
  // Never changed after initialisation.
  let pointer: OpaquePointer

  /// Creates a request. Throws ``CertificateError``.
  package init(name: String, key: PrivateKey) throws(CertificateError) {
    guard let request = X509_REQ_new() else { throw .openSSL("no request can be made") }
    pointer = request
    guard X509_REQ_set_version(request, 0) == 1,
      X509_NAME_add_entry_by_NID(
        X509_REQ_get_subject_name(request), NID_commonName, MBSTRING_UTF8, name, -1, -1, 0) == 1,
      X509_REQ_set_pubkey(request, key.pointer) == 1, X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0
    else { throw .openSSL("no request can be made for \(name)") }
  }

  /// Parses a PEM and verifies that its author has the private key. Throws ``CertificateError``.
  package init(pem: String) throws(CertificateError) {
    guard let request = PEM.read(pem, { PEM_read_bio_X509_REQ($0, nil, nil, nil) }) else {
      throw .openSSL("not a request for a certificate in PEM")
    }
    pointer = request
    guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1 else {
      throw .openSSL("a request that is not signed with its key")
    }
    guard EVP_PKEY_get_security_bits(key) >= 112 else { throw CertificateError("a request with a weak key") }
  }

  deinit { X509_REQ_free(pointer) }

  package var pem: String { PEM.text { PEM_write_bio_X509_REQ($0, pointer) } }
}
