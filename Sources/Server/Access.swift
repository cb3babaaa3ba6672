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
    /// Serial numbers of all that were ever seen revoked: none comes back to life.
    var revoked: Set<String> = []
    /// Of the list as it was read last; nil where it could not be.
    var revocationStamp: [String]?
    var store: Store?
    /// When it was last said that the list cannot be read; nil while it can.
    var complained: ContinuousClock.Instant?
  }

  let folder: CertificateFolder?
  private let state = Mutex(State())
  let observer: @Sendable (ServerEvent) -> Void

  /// Everybody may come: for connections that never leave the machine, or a network that is trusted.
  package init() { (folder, observer) = (nil, { _ in }) }

  /// Only who has a certificate of the folder's authority that is not revoked. Throws ``CertificateError`` where the
  /// server's own cannot be used, or who is revoked is not known.
  package init(
    _ folder: CertificateFolder, observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) throws(CertificateError) {
    (self.folder, self.observer) = (folder, observer)
    let stamp = folder.stamp
    let context = try TLSContext(server: folder.server)
    let list = try folder.revocations
    state.withLock { state in
      state.context = context
      state.stamp = stamp
      state.revoked = Set(list.map(\.serial))
    }
  }

  /// Keeps what is revoked in a server's database too, from now on, and believes what is there already: an older list
  /// that is put back into the folder lets nobody in. Throws ``StoreError``, or ``CertificateError``.
  func keep(in store: Store) throws {
    guard let folder else { return }
    try state.withLock { state in
      state.store = store
      try read(folder, folder.revocationStamp, into: &state)
    }
  }

  /// Reads the list of revoked certificates.
  private func read(_ folder: CertificateFolder, _ stamp: [String], into state: inout State) throws {
    let list = try folder.revocations
    if let store = state.store {
      let authority = try folder.authorityCertificate.serial
      let known = try store.revocations(of: authority)
      let (listed, kept) = (Set(list.map(\.serial)), Set(known.map(\.serial)))
      try store.add(list.filter { !kept.contains($0.serial) }, of: authority)
      let missing = known.filter { !listed.contains($0.serial) }
      if !missing.isEmpty {
        observer(.revocationsMissing(missing, folder: folder.path, database: store.path))
      }
      state.revoked.formUnion(kept)
    }
    state.revoked.formUnion(list.map(\.serial))
    state.revocationStamp = stamp
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

  /// With what somebody is turned away who may not take a name; nil where it may. Throws ``StoreError``.
  func rejection(of name: String, _ identity: PeerIdentity?) throws -> Goodbye? {
    guard folder != nil else { return nil }
    guard let identity else {
      return Goodbye(.rejected, "no certificate was shown; fedclient enroll fetches one")
    }
    guard identity.name == name else {
      return Goodbye(.rejected, "the certificate is that of \(identity.name), not of \(name)")
    }
    return try rejection(of: identity)
  }

  /// With what a client is turned away whose certificate was good when its connection began and is not any more, or of
  /// which that cannot be told; nil where it is. Throws ``StoreError``.
  func rejection(of identity: PeerIdentity) throws -> Goodbye? {
    guard folder != nil else { return nil }
    guard let revoked = try revoked else { return Goodbye(.stopping, Self.unknown) }
    if revoked.contains(identity.serial) { return Goodbye(.rejected, "the certificate is revoked") }
    return identity.expires < Date()
      ? Goodbye(.rejected, "the certificate ended on \(identity.expires.day); enrol again") : nil
  }

  /// What a client hears that will be let in again once the operator has mended the list.
  private static let unknown = "the server cannot tell which certificates are revoked"

  /// Serial numbers that are worth nothing; nil where they are not known. Throws ``StoreError``.
  private var revoked: Set<String>? {
    get throws {
      guard let folder else { return [] }
      let stamp = folder.revocationStamp
      return try state.withLock { state in
        guard stamp != state.revocationStamp else { return state.revoked }
        do {
          try read(folder, stamp, into: &state)
        } catch let error as CertificateError {
          state.revocationStamp = nil
          complain(error, &state)
          return nil
        }
        if state.complained != nil { observer(.revocationsUnknown(reason: nil)) }
        state.complained = nil
        return state.revoked
      }
    }
  }

  /// Once a minute, however many ask.
  private func complain(_ error: CertificateError, _ state: inout State) {
    let now = ContinuousClock.now
    guard state.complained.map({ now - $0 >= .seconds(60) }) ?? true else { return }
    state.complained = now
    observer(.revocationsUnknown(reason: error.description))
  }

  /// Why a new device gets no certificate.
  struct EnrolmentRejected: Error, CustomStringConvertible {
    let description: String
  }

  /// Issues the certificate that a code was made for. Throws ``EnrolmentRejected``, or ``StoreError``.
  func enrol(_ request: EnrolmentRequest) throws -> IssuedCertificate {
    do {
      guard let folder, try folder.canIssue else {
        throw EnrolmentRejected(description: "certificates are not issued here")
      }
      // The code is for later, when somebody with its certificate would be let in.
      guard try revoked != nil else { throw EnrolmentRejected(description: Self.unknown) }
      guard Hello.isValid(name: request.name),
        let certificate = try folder.issue(
          request.request, name: request.name, days: Certificate.Role.client.days, for: request.secret)
      else {
        throw EnrolmentRejected(
          description:
            "the code is mistyped, was used already or withdrawn, or is older than \(CertificateFolder.enrolmentHours) hours"
        )
      }
      return IssuedCertificate(certificate: certificate.pem)
    } catch let error as CertificateError {
      throw EnrolmentRejected(description: error.description)
    }
  }
}
