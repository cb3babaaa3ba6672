import CSSL

/// A request for a certificate: a name and a public key, signed with the private key, which stays where it is.
package final class SigningRequest: @unchecked Sendable {
  // Never changed after it is made.
  let pointer: OpaquePointer

  /// Throws ``CertificateError``.
  package init(name: String, key: PrivateKey) throws(CertificateError) {
    guard let request = X509_REQ_new() else { throw .openSSL("no request can be made") }
    pointer = request
    guard X509_REQ_set_version(request, 0) == 1,
      X509_NAME_add_entry_by_NID(
        X509_REQ_get_subject_name(request), NID_commonName, MBSTRING_UTF8, name, -1, -1, 0) == 1,
      X509_REQ_set_pubkey(request, key.pointer) == 1, X509_REQ_sign(request, key.pointer, EVP_sha256()) > 0
    else { throw .openSSL("no request can be made for \(name)") }
  }

  /// Reads a PEM, and checks that whoever wrote it has the private key. Throws ``CertificateError``.
  package init(pem: String) throws(CertificateError) {
    guard let request = PEM.read(pem, { PEM_read_bio_X509_REQ($0, nil, nil, nil) }) else {
      throw .openSSL("not a request for a certificate in PEM")
    }
    pointer = request
    guard let key = X509_REQ_get0_pubkey(request), X509_REQ_verify(request, key) == 1 else {
      throw .openSSL("a request that its key has not signed")
    }
    guard EVP_PKEY_get_security_bits(key) >= 112 else { throw CertificateError("a request with a weak key") }
  }

  deinit { X509_REQ_free(pointer) }

  package var pem: String { PEM.text { PEM_write_bio_X509_REQ($0, pointer) } }
}
