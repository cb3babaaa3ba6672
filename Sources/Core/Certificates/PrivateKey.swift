import CSSL

/// A private key on the curve P-256: 128 bits of security, and the smallest handshake that every TLS library
/// understands.
package final class PrivateKey: @unchecked Sendable {
  // Never changed after it is made, which is when OpenSSL allows use by many threads.
  package let pointer: OpaquePointer

  /// A new key, from the system's randomness. Throws ``CertificateError``.
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

  /// Reads an unencrypted PEM. Throws ``CertificateError``.
  package init(pem: String) throws(CertificateError) {
    // An encrypted key would ask for its password at the terminal, where a daemon has none.
    let key = PEM.read(pem) { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil) }
    guard let key else { throw .openSSL("not a private key in PEM") }
    pointer = key
  }

  deinit { EVP_PKEY_free(pointer) }

  /// PKCS #8, not encrypted.
  package var pem: String { PEM.text { PEM_write_bio_PrivateKey($0, pointer, nil, nil, 0, nil, nil) } }
}
