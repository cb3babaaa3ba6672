import CSSL
import Certificates
import FlyingSocks
import Foundation

/// TLS on a socket that does not block. It is used by one actor alone.
final class TLSStream: ByteStream {
  private let session: OpaquePointer
  private let context: TLSContext
  private let isServer: Bool

  /// The socket stays its owner's.
  init(_ context: TLSContext, _ socket: Socket, isServer: Bool) throws(StreamError) {
    guard let session = SSL_new(context.pointer), SSL_set_fd(session, socket.file.rawValue) == 1 else {
      throw .tls("no memory for a session")
    }
    (self.session, self.context, self.isServer) = (session, context, isServer)
    if isServer { SSL_set_accept_state(session) } else { SSL_set_connect_state(session) }
    if let host = context.host {
      // An address is compared with addresses, a name with names.
      let parameters = SSL_get0_param(session)
      if X509_VERIFY_PARAM_set1_ip_asc(parameters, host) != 1 { SSL_set1_host(session, host) }
    }
  }

  deinit { SSL_free(session) }

  var counts: (received: Int, sent: Int) {
    (Int(BIO_number_read(SSL_get_rbio(session))), Int(BIO_number_written(SSL_get_wbio(session))))
  }

  /// Goes on with the handshake; returns when it is done, and the peer is who it should be.
  func shakeHands() throws(StreamError) {
    ERR_clear_error()
    let result = SSL_do_handshake(session)
    guard result == 1 else { throw failure(result) }
    if let pin = context.pin { try check(pin) }
  }

  /// Who the peer is by its certificate, which the handshake has verified; nil where it has shown none.
  var peer: PeerIdentity? {
    guard let pointer = SSL_get1_peer_certificate(session) else { return nil }
    let certificate = Certificate(owning: pointer)
    return PeerIdentity(name: certificate.name, serial: certificate.serial, expires: certificate.expires)
  }

  /// The authority that the peer has shown, where a pin was checked.
  private(set) var pinned: Certificate?

  /// An unknown server shows its authority, which must be the pinned one and have signed its certificate.
  private func check(_ pin: String) throws(StreamError) {
    guard let leaf = SSL_get1_peer_certificate(session).map(Certificate.init(owning:)) else {
      throw .tls("the server shows no certificate")
    }
    let chain = SSL_get_peer_cert_chain(session)
    let shown = (0..<max(OPENSSL_sk_num(chain), 0)).compactMap { index -> Certificate? in
      guard let pointer = OPENSSL_sk_value(chain, index) else { return nil }
      let certificate = OpaquePointer(pointer)
      X509_up_ref(certificate)
      return Certificate(owning: certificate)
    }
    guard let authority = shown.first(where: { EnrolmentCode.pin(of: $0) == pin }),
      leaf.isSigned(by: authority), leaf.isForServers
    else { throw .tls("this is not the server that the code is for") }
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

  private func failure(_ result: Int32) -> StreamError {
    switch SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .blocked(.read)
    case SSL_ERROR_WANT_WRITE: return .blocked(.write)
    case SSL_ERROR_ZERO_RETURN, SSL_ERROR_SYSCALL: return .closed
    default:
      let verdict = SSL_get_verify_result(session)
      if verdict != Int(X509_V_OK) && context.pin == nil {
        return .tls(String(cString: X509_verify_cert_error_string(verdict)))
      }
      let code = ERR_peek_last_error()
      guard code != 0, let reason = ERR_reason_error_string(code).map(String.init(cString:)) else {
        return .closed
      }
      // A peer that is gone without a word, which TCP's end alone would say as well.
      return reason == "unexpected eof while reading" ? .closed : .tls(reason)
    }
  }
}

/// Who a peer is, by its certificate.
package struct PeerIdentity: Sendable, Hashable {
  package let name: String
  package let serial: String
  package let expires: Date
}
