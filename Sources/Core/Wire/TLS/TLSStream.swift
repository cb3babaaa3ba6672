import CSSL
import Certificates
import FlyingSocks
import Foundation

/// TLS on a non-blocking socket. A single actor uses it.
final class TLSStream: ByteStream {
  private let session: OpaquePointer
  private let context: TLSContext
  private let isServer: Bool
  /// The fault that the handshake found in the peer's certificate.
  private var distrust: Distrust?

  /// The caller keeps ownership of the socket.
  init(_ context: TLSContext, _ socket: Socket, isServer: Bool) throws(StreamError) {
    guard let session = SSL_new(context.pointer), SSL_set_fd(session, socket.file.rawValue) == 1 else {
      throw .tls(.broken("no memory for a session"))
    }
    (self.session, self.context, self.isServer) = (session, context, isServer)
    // For `note`, which is only called within calls of this stream.
    SSL_set_ex_data(session, 0, Unmanaged.passUnretained(self).toOpaque())
    if isServer { SSL_set_accept_state(session) } else { SSL_set_connect_state(session) }
    if let host = context.host, context.pin == nil {
      // Addresses are compared with addresses, names with names.
      let parameters = SSL_get0_param(session)
      if X509_VERIFY_PARAM_set1_ip_asc(parameters, host) != 1 { SSL_set1_host(session, host) }
    }
  }

  deinit { SSL_free(session) }

  var counts: (received: Int, sent: Int) {
    (Int(BIO_number_read(SSL_get_rbio(session))), Int(BIO_number_written(SSL_get_wbio(session))))
  }

  /// Continues the handshake; returns when it is complete and the peer is authenticated.
  func shakeHands() throws(StreamError) {
    ERR_clear_error()
    let result = SSL_do_handshake(session)
    guard result == 1 else { throw failure(result) }
    if let pin = context.pin { try check(pin) }
  }

  /// The peer's identity from its verified certificate; nil if it has presented none.
  var peer: PeerIdentity? {
    guard let pointer = SSL_get1_peer_certificate(session) else { return nil }
    let certificate = Certificate(owning: pointer)
    return PeerIdentity(name: certificate.name, serial: certificate.serial, expires: certificate.expires)
  }

  /// The verification callback, which OpenSSL calls for each certificate of a peer. It records the fault, which is not
  /// available after a failed handshake, and does not change the result.
  static let note: @convention(c) (Int32, OpaquePointer?) -> Int32 = { verdict, store in
    guard verdict != 1, let store,
      let session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
      let owner = SSL_get_ex_data(OpaquePointer(session), 0),
      let leaf = X509_STORE_CTX_get0_cert(store)
    else { return verdict }
    let wrong = X509_STORE_CTX_get_current_cert(store) ?? leaf
    Unmanaged<TLSStream>.fromOpaque(owner).takeUnretainedValue().distrust = Distrust(
      error: X509_STORE_CTX_get_error(store), certificate: Certificate(sharing: wrong),
      leaf: Certificate(sharing: leaf))
    return verdict
  }

  /// The authority that the peer has presented, if a pin was checked.
  private(set) var pinned: Certificate?

  /// Checks that the server's certificate is signed by an authority that it presents and that matches the pin.
  private func check(_ pin: String) throws(StreamError) {
    guard let leaf = SSL_get1_peer_certificate(session).map(Certificate.init(owning:)) else {
      throw .tls(.distrusted("the server sent no certificate"))
    }
    let chain = SSL_get_peer_cert_chain(session)
    let shown = (0..<max(OPENSSL_sk_num(chain), 0)).compactMap { index in
      OPENSSL_sk_value(chain, index).map { Certificate(sharing: OpaquePointer($0)) }
    }
    guard let authority = shown.first(where: { EnrolmentCode.pin(of: $0) == pin }),
      leaf.isSigned(by: authority), leaf.isForServers
    else { throw .tls(.distrusted("the code is for another server, or mistyped")) }
    // Faults that would reject the device later are reported while its code is still valid.
    for certificate in [leaf, authority] {
      let now = Date()
      guard certificate.begins > now || certificate.expires < now else { continue }
      let error = certificate.begins > now ? X509_V_ERR_CERT_NOT_YET_VALID : X509_V_ERR_CERT_HAS_EXPIRED
      throw .tls(
        Distrust(error: error, certificate: certificate, leaf: leaf).failure(host: nil, isServer: false))
    }
    if let host = context.host, !leaf.isFor(host) { throw .tls(.distrusted(Distrust.mismatch(leaf, host))) }
    pinned = authority
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int {
    ERR_clear_error()
    let result = SSL_read(session, buffer.baseAddress, Int32(buffer.count))
    guard result > 0 else { throw failure(result) }
    return Int(result)
  }

  func write(_ pieces: [Data], behind sent: Int) throws(StreamError) -> Int {
    ERR_clear_error()
    var (index, start) = (0, sent)
    while start >= pieces[index].count { (start, index) = (start - pieces[index].count, index + 1) }
    let result = pieces[index].dropFirst(start).withUnsafeBytes {
      SSL_write(session, $0.baseAddress, Int32($0.count))
    }
    guard result > 0 else { throw failure(result) }
    return Int(result)
  }

  /// The reason that the peer has given for ending the connection, for use after a failed write.
  var farewell: TLSFailure? {
    ERR_clear_error()
    var byte: UInt8 = 0
    let result = SSL_peek(session, &byte, 1)
    guard result <= 0, case .tls(let failure) = failure(result) else { return nil }
    return failure
  }

  private func failure(_ result: Int32) -> StreamError {
    switch SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .blocked(.read)
    case SSL_ERROR_WANT_WRITE: return .blocked(.write)
    case SSL_ERROR_ZERO_RETURN, SSL_ERROR_SYSCALL: return .closed
    default:
      if let distrust { return .tls(distrust.failure(host: context.host, isServer: isServer)) }
      let code = ERR_peek_last_error()
      if let rejection = TLSFailure.alert(code, own: own, isServer: isServer) { return .tls(rejection) }
      guard code != 0, let reason = ERR_reason_error_string(code).map(String.init(cString:)) else {
        return .closed
      }
      // A peer that disappeared without a TLS alert is treated like the end of the TCP connection.
      return reason == "unexpected eof while reading" ? .closed : .tls(.broken(reason))
    }
  }

  /// The certificate presented to the peer.
  private var own: Certificate? { SSL_get_certificate(session).map(Certificate.init(sharing:)) }
}

/// The identity of a peer, from its certificate.
package struct PeerIdentity: Sendable, Hashable {
  package let name: String
  package let serial: String
  package let expires: Date
}
