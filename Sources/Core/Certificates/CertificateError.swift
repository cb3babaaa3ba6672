import CSSL
import Foundation

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
