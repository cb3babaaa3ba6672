import Certificates
import Foundation

/// A certificate of the server or its authority that expires soon or has expired. After that no device can connect.
package struct EndingCertificate: Sendable, CustomStringConvertible {
  /// The role: server or authority.
  package let role: Certificate.Role
  package let expires: Date
  /// The whole days until it expires; negative if it has expired.
  package let days: Int
  /// How to replace it.
  private let remedy: String

  package var description: String {
    let isServers = role == .server
    if days < 0 {
      let what = isServers ? "this server's certificate expired on" : "the authority's certificate expired on"
      return "\(what) \(expires.day), and no device can connect; \(remedy)"
    }
    let what = isServers ? "this server's certificate expires in" : "the authority's certificate expires in"
    return "\(what) \(days) days, on \(expires.day); \(remedy)"
  }

  /// Nil if it does not expire soon.
  fileprivate init?(_ role: Certificate.Role, _ certificate: Certificate, remedy: String, now: Date) {
    let days = Int((certificate.expires.timeIntervalSince(now) / 86_400).rounded(.down))
    guard days < Certificate.warningDays else { return nil }
    (self.role, self.days, self.remedy) = (role, days, remedy)
    expires = certificate.expires
  }
}

extension Access {
  /// Returns the certificates of the server and its authority that expire soon or have expired.
  func endings(now: Date = Date()) -> [EndingCertificate] {
    // An unreadable certificate is reported at the next connection.
    guard let folder, let identity = try? folder.server else { return [] }
    let server = EndingCertificate(
      .server, identity.certificate, remedy: folder.renewal(of: identity), now: now)
    let authority = EndingCertificate(
      .authority, identity.authority,
      remedy:
        "make another authority, and enrol every device again (docs/operating.md, Replacing the authority)",
      now: now)
    return [authority, server].compactMap { $0 }
  }

  /// Reports such certificates now and every day, until its task is cancelled.
  package func watchEndings() async {
    repeat {
      for ending in endings() { observer(.ending(ending)) }
      try? await Task.sleep(for: .seconds(86_400))
    } while !Task.isCancelled
  }
}

extension CertificateFolder {
  /// Returns the command that renews the server's certificate with all its hosts.
  fileprivate func renewal(of identity: Identity) -> String {
    let name = identity.certificate.name
    let hosts = identity.certificate.otherHosts.map { " --host \($0)" }.joined()
    return "renew it: fedserver certificate server \(name)\(hosts) --tls \(path)"
  }
}
