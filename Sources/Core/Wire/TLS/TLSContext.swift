import CSSL
import Certificates
import Foundation

/// What one side's TLS connections have in common: TLS 1.3 alone, its own certificate, and the authority that
/// it believes.
package final class TLSContext: @unchecked Sendable {
  // Never changed after it is made; OpenSSL counts its users itself.
  let pointer: OpaquePointer
  /// Whom a client wants to reach; nil at a server.
  let host: String?
  /// What the authority of an unknown server must look like (``EnrolmentCode/pin``).
  let pin: String?

  /// For a server. Clients show a certificate of the same authority, or none, and are then no more than
  /// unauthenticated peers. Throws ``CertificateError``.
  package convenience init(server identity: Identity) throws(CertificateError) {
    try self.init(TLS_server_method(), host: nil, pin: nil)
    try show(identity.certificate, identity.key, identity.authority)
    try believe(identity.authority, SSL_VERIFY_PEER)
  }

  /// For a client that reaches a server under a name or address, which must be in the server's certificate.
  /// Throws ``CertificateError``.
  package convenience init(client identity: Identity, host: String) throws(CertificateError) {
    try self.init(
      showing: identity.certificate, identity.key, believing: identity.authority, host: host)
  }

  /// The same of parts that need not belong together. Throws ``CertificateError``.
  package convenience init(
    showing certificate: Certificate, _ key: PrivateKey, believing authority: Certificate, host: String
  ) throws(CertificateError) {
    try self.init(TLS_client_method(), host: host, pin: nil)
    try show(certificate, key, authority)
    try believe(authority, SSL_VERIFY_PEER)
  }

  /// For a device that has no certificate yet, and knows its server's authority by a pin alone. The name or address
  /// that it reaches the server under must be in the server's certificate. Throws ``CertificateError``.
  package convenience init(pin: String, host: String) throws(CertificateError) {
    try self.init(TLS_client_method(), host: host, pin: pin)
    // The pin is checked after the handshake, before a byte is sent.
    SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
  }

  private init(_ method: OpaquePointer?, host: String?, pin: String?) throws(CertificateError) {
    guard let context = SSL_CTX_new(method) else { throw CertificateError("TLS cannot be set up") }
    (pointer, self.host, self.pin) = (context, host, pin)
    // A connection that its peer has closed is an error to handle, not a signal to die of.
    signal(SIGPIPE, SIG_IGN)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_3_VERSION), nil)
    let modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
    SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(modes), nil)
    // Connections last for days: what tickets would save is less than what they cost.
    SSL_CTX_set_num_tickets(context, 0)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
  }

  deinit { SSL_CTX_free(pointer) }

  private func show(
    _ certificate: Certificate, _ key: PrivateKey, _ authority: Certificate
  ) throws(CertificateError) {
    guard SSL_CTX_use_certificate(pointer, certificate.pointer) == 1,
      SSL_CTX_use_PrivateKey(pointer, key.pointer) == 1,
      // With the authority's own certificate, by which a new device knows it.
      SSL_CTX_ctrl(pointer, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(authority.pointer)) == 1
    else { throw CertificateError("the certificate of \(certificate.name) cannot be used") }
  }

  private func believe(_ authority: Certificate, _ mode: Int32) throws(CertificateError) {
    guard X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), authority.pointer) == 1 else {
      throw CertificateError("the authority's certificate cannot be used")
    }
    SSL_CTX_set_verify(pointer, mode, TLSStream.note)
    // The authority's certificate is not asked for who may call itself one.
    SSL_CTX_set_verify_depth(pointer, 1)
  }
}
