import CSSL
import Certificates
import Foundation

/// The configuration of one side's TLS connections: TLS 1.3 only, its certificate, and the trusted authority.
package final class TLSContext: @unchecked Sendable {
  // Never changed after initialisation; OpenSSL counts references.
  let pointer: OpaquePointer
  /// The host that a client connects to; nil for a server.
  let host: String?
  /// The pin of an unknown server's authority (``EnrolmentCode/pin``).
  let pin: String?

  /// Creates a context for a server. Clients present a certificate of the same authority, or none, which makes them
  /// unauthenticated peers. Throws ``CertificateError``.
  package convenience init(server identity: Identity) throws(CertificateError) {
    try self.init(TLS_server_method(), host: nil, pin: nil)
    try show(identity.certificate, identity.key, identity.authority)
    try believe(identity.authority, SSL_VERIFY_PEER)
  }

  /// Creates a context for a client. The server's certificate must contain the name or address `host`. Throws
  /// ``CertificateError``.
  package convenience init(client identity: Identity, host: String) throws(CertificateError) {
    try self.init(
      showing: identity.certificate, identity.key, believing: identity.authority, host: host)
  }

  /// Creates a context for a client from parts that need not match. Throws ``CertificateError``.
  package convenience init(
    showing certificate: Certificate, _ key: PrivateKey, believing authority: Certificate, host: String
  ) throws(CertificateError) {
    try self.init(TLS_client_method(), host: host, pin: nil)
    try show(certificate, key, authority)
    try believe(authority, SSL_VERIFY_PEER)
  }

  /// Creates a context for a device without a certificate, which authenticates the server's authority by a pin. The
  /// server's certificate must contain the name or address `host`. Throws ``CertificateError``.
  package convenience init(pin: String, host: String) throws(CertificateError) {
    try self.init(TLS_client_method(), host: host, pin: pin)
    // The pin is checked after the handshake, before data is sent.
    SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
  }

  private init(_ method: OpaquePointer?, host: String?, pin: String?) throws(CertificateError) {
    guard let context = SSL_CTX_new(method) else { throw CertificateError("TLS cannot be set up") }
    (pointer, self.host, self.pin) = (context, host, pin)
    // Writing to a connection that the peer has closed must return an error, not raise a signal.
    signal(SIGPIPE, SIG_IGN)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_3_VERSION), nil)
    let modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
    SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(modes), nil)
    // Connections last for days, so session tickets would save less than they cost.
    SSL_CTX_set_num_tickets(context, 0)
    SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
  }

  deinit { SSL_CTX_free(pointer) }

  private func show(
    _ certificate: Certificate, _ key: PrivateKey, _ authority: Certificate
  ) throws(CertificateError) {
    guard SSL_CTX_use_certificate(pointer, certificate.pointer) == 1,
      SSL_CTX_use_PrivateKey(pointer, key.pointer) == 1,
      // The chain includes the authority's certificate, by which a new device identifies it.
      SSL_CTX_ctrl(pointer, SSL_CTRL_CHAIN_CERT, 1, UnsafeMutableRawPointer(authority.pointer)) == 1
    else { throw CertificateError("the certificate of \(certificate.name) cannot be used") }
  }

  private func believe(_ authority: Certificate, _ mode: Int32) throws(CertificateError) {
    guard X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), authority.pointer) == 1 else {
      throw CertificateError("the authority's certificate cannot be used")
    }
    SSL_CTX_set_verify(pointer, mode, TLSStream.note)
    // Limits the length of the certificate chain.
    SSL_CTX_set_verify_depth(pointer, 1)
  }
}
