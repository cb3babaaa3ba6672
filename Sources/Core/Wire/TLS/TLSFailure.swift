import CSSL
import Certificates
import Federation
import Foundation
import Support

/// The reason of a TLS failure, with a remedy in the description.
package enum TLSFailure: Sendable, Hashable, CustomStringConvertible {
  /// The peer rejects the certificate presented to it.
  case rejected(String)
  /// The certificate presented by the peer is not trusted.
  case distrusted(String)
  /// Another failure, such as a peer that does not use TLS.
  case broken(String)

  package var description: String {
    switch self {
    case .rejected(let reason), .distrusted(let reason): reason
    case .broken(let reason): "TLS: \(reason)"
    }
  }
}

// MARK: - Alerts from the peer about the presented certificate

extension TLSFailure {
  /// The alerts about certificates (RFC 8446, 6.2).
  private enum Alert: Int32 {
    case badCertificate = 42
    case unsupportedCertificate, certificateRevoked, certificateExpired, certificateUnknown
    case unknownAuthority = 48
    case certificateRequired = 116
  }

  /// Returns the failure for an OpenSSL error; nil if the peer has not rejected a certificate.
  ///
  /// - Parameter own: The certificate presented to the peer, if there is one.
  static func alert(_ error: UInt, own: Certificate?, isServer: Bool) -> TLSFailure? {
    guard let alert = Alert(rawValue: ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET) else { return nil }
    let reason = isServer ? serversFault(alert, own) : clientsFault(alert)
    return .rejected(
      isServer
        ? "the device rejects this server's certificate: \(reason)"
        : "the server rejects this device's certificate: \(reason)")
  }

  private static func clientsFault(_ alert: Alert) -> String {
    switch alert {
    case .certificateExpired: "it has expired; enrol again"
    case .certificateRevoked: "it is revoked; enrol again"
    case .unknownAuthority: "it was issued by another authority; enrol again"
    case .badCertificate, .unsupportedCertificate, .certificateUnknown, .certificateRequired:
      "it is not valid; correct the clocks of both machines, or enrol again"
    }
  }

  private static func serversFault(_ alert: Alert, _ own: Certificate?) -> String {
    let end = own.map { ", on \($0.expires.day)" } ?? ""
    let hosts = own.map { " (\($0.hosts.joined(separator: ", ")))" } ?? ""
    return switch alert {
    case .certificateExpired: "it has expired by the device's clock\(end)"
    case .unknownAuthority: "the device trusts another authority; it must enrol again"
    case .badCertificate:
      "the device uses a host name that is not in the certificate\(hosts), or its clock is wrong"
    case .certificateRevoked, .unsupportedCertificate, .certificateUnknown, .certificateRequired:
      "it is not a server certificate"
    }
  }
}

// MARK: - Faults of the peer's certificate

/// A fault that OpenSSL found in a certificate.
struct Distrust {
  /// X509_V_ERR_…
  let error: Int32
  /// The faulty certificate: the peer's, or its authority's.
  let certificate: Certificate
  /// The peer's certificate.
  let leaf: Certificate

  private static let otherAuthority: Set = [
    X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
    X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE,
  ]

  /// Returns the failure for a client that connects to `host`, or for a server.
  func failure(host: String?, isServer: Bool) -> TLSFailure {
    .distrusted(isServer ? clientsFault : serversFault(host ?? ""))
  }

  private func serversFault(_ host: String) -> String {
    let whose =
      certificate.serial == leaf.serial ? "server's certificate" : "server's authority's certificate"
    let clock = "or this device's clock, \(Date().minute), is wrong"
    return switch error {
    case X509_V_ERR_CERT_HAS_EXPIRED: "the \(whose) expired on \(certificate.expires.day), \(clock)"
    case X509_V_ERR_CERT_NOT_YET_VALID:
      "the \(whose) is not valid before \(certificate.begins.minute), \(clock)"
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: Self.mismatch(leaf, host)
    case _ where Self.otherAuthority.contains(error):
      "the server's certificate was issued by another authority than this device's: enrol again"
    default: "the \(whose) cannot be verified: \(words)"
    }
  }

  private var clientsFault: String {
    // The name of an unauthenticated peer's certificate is logged only if a client could have that name.
    let name = Hello.isValid(name: leaf.name) ? "the certificate of \(leaf.name)" : "its certificate"
    let clock = "or this machine's clock, \(Date().minute), is wrong"
    return switch error {
    case X509_V_ERR_CERT_HAS_EXPIRED where certificate.serial == leaf.serial:
      "\(name) expired on \(certificate.expires.day): it must enrol again, \(clock)"
    case X509_V_ERR_CERT_HAS_EXPIRED:
      "the authority's certificate expired on \(certificate.expires.day), \(clock)"
    case X509_V_ERR_CERT_NOT_YET_VALID:
      "\(name) is not valid before \(certificate.begins.minute), \(clock)"
    case _ where Self.otherAuthority.contains(error):
      "\(name) was issued by another authority: it must enrol again"
    default: "\(name) cannot be verified: \(words)"
    }
  }

  private var words: String { String(cString: X509_verify_cert_error_string(Int(error))) }

  /// Returns a message for a server's certificate without the name `host`, with the command that adds the name.
  static func mismatch(_ leaf: Certificate, _ host: String) -> String {
    let options = (leaf.otherHosts + [host]).map { " --host \($0)" }.joined()
    let text =
      "the server's certificate is for \(leaf.hosts.joined(separator: ", ")), not for \(host): "
      + "fedserver certificate server \(leaf.name)\(options) --tls DIR"
    // The certificate may have any number of names.
    return ForeignText(text, limit: 2000).description
  }
}
