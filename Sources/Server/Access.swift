import Certificates
import Federation
import Foundation
import Synchronization
import Wire

/// Who gets in: by the certificates of a folder, which are read again when they change; or everybody.
package final class Access: Sendable {
  private struct State {
    var context: TLSContext?
    var stamp: [String] = []
    var revoked: Set<String> = []
    var revocationStamp: [String] = []
  }

  let folder: CertificateFolder?
  private let state = Mutex(State())
  let observer: @Sendable (ServerEvent) -> Void

  /// Everybody may come: for connections that never leave the machine, or a network that is trusted.
  package init() { (folder, observer) = (nil, { _ in }) }

  /// Only who has a certificate of the folder's authority. Throws ``CertificateError`` where the server's own
  /// cannot be used.
  package init(
    _ folder: CertificateFolder, observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) throws(CertificateError) {
    (self.folder, self.observer) = (folder, observer)
    let stamp = folder.stamp
    let context = try TLSContext(server: folder.server)
    state.withLock { state in
      state.context = context
      state.stamp = stamp
    }
  }

  /// What the next connection is made secret with; nil where it is not. New files are used from then on; while
  /// they make no sense, the old ones are.
  var context: TLSContext? {
    guard let folder else { return nil }
    let stamp = folder.stamp
    return state.withLock { state -> TLSContext? in
      guard stamp != state.stamp else { return state.context }
      state.stamp = stamp
      do {
        state.context = try TLSContext(server: folder.server)
        observer(.reloaded(reason: nil))
      } catch {
        observer(.reloaded(reason: "\(error)"))
      }
      return state.context
    }
  }

  /// Why somebody may not take a name; nil where it may.
  func refusal(of name: String, _ identity: PeerIdentity?) -> String? {
    guard folder != nil else { return nil }
    guard let identity else { return "no certificate was shown; fedclient enroll fetches one" }
    guard identity.name == name else { return "the certificate is that of \(identity.name), not of \(name)" }
    return objection(to: identity)
  }

  /// Why a certificate that was good when its connection began is not any more; nil where it is.
  func objection(to identity: PeerIdentity) -> String? {
    guard let folder else { return nil }
    let stamp = folder.revocationStamp
    let isRevoked = state.withLock { state in
      if stamp != state.revocationStamp {
        (state.revoked, state.revocationStamp) = (folder.revokedSerials, stamp)
      }
      return state.revoked.contains(identity.serial)
    }
    if isRevoked { return "the certificate is revoked" }
    return identity.expires < Date() ? "the certificate ended on \(identity.expires.day); enrol again" : nil
  }

  /// Why a new box gets no certificate.
  struct EnrolmentRefused: Error, CustomStringConvertible {
    let description: String
  }

  /// Issues the certificate that a code was made for. Throws ``EnrolmentRefused``.
  func enrol(_ request: EnrolmentRequest) throws(EnrolmentRefused) -> IssuedCertificate {
    guard let folder, folder.canIssue else {
      throw EnrolmentRefused(description: "certificates are not issued here")
    }
    guard Hello.isValid(name: request.name), folder.redeem(request.secret, for: request.name) else {
      throw EnrolmentRefused(
        description:
          "the code is mistyped, was used already or withdrawn, or is older than \(CertificateFolder.enrolmentHours) hours"
      )
    }
    do {
      let certificate = try folder.issue(
        try SigningRequest(pem: request.request), name: request.name, days: Certificate.Role.client.days)
      return IssuedCertificate(certificate: certificate.pem)
    } catch {
      throw EnrolmentRefused(description: error.description)
    }
  }
}
