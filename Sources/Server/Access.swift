import Certificates
import Federation
import Foundation
import Synchronization
import Wire

/// Access control by the certificates of a folder, which are read again when they change; or open access.
package final class Access: Sendable {
  private struct State {
    var context: TLSContext?
    var stamp: [String] = []
    /// The serial numbers of all certificates ever seen revoked; a revocation cannot be undone.
    var revoked: Set<String> = []
    /// The stamp of the list when it was last read; nil if it could not be read.
    var revocationStamp: [String]?
    var store: Store?
    /// When the observer was last notified that the list cannot be read; nil while it can.
    var complained: ContinuousClock.Instant?
  }

  let folder: CertificateFolder?
  private let state = Mutex(State())
  let observer: @Sendable (ServerEvent) -> Void

  /// Admits every client: for loopback connections, or a trusted network.
  package init() { (folder, observer) = (nil, { _ in }) }

  /// Admits clients with a valid certificate of the folder's authority. Throws ``CertificateError`` if the server's
  /// certificate cannot be used, or the list of revoked certificates cannot be read.
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

  /// Keeps a copy of the revocations in a server's database, and applies those already in it, so that restoring an
  /// older list does not undo a revocation. Throws ``StoreError`` or ``CertificateError``.
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

  /// The TLS context of the next connection; nil without TLS. New files are used as soon as they are valid; until then
  /// the old ones stay in use.
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

  /// Returns the goodbye for a peer that may not use a name; nil if it may. Throws ``StoreError``.
  func rejection(of name: String, _ identity: PeerIdentity?) throws -> Goodbye? {
    guard folder != nil else { return nil }
    guard let identity else {
      return Goodbye(.rejected, "the client sent no certificate; run fedclient enroll")
    }
    guard identity.name == name else {
      return Goodbye(.rejected, "the certificate is for \(identity.name), not for \(name)")
    }
    return try rejection(of: identity)
  }

  /// Returns the goodbye for a client whose certificate has become invalid since its connection began, or can no longer
  /// be checked; nil if it is valid. Throws ``StoreError``.
  func rejection(of identity: PeerIdentity) throws -> Goodbye? {
    guard folder != nil else { return nil }
    guard let revoked = try revoked else { return Goodbye(.stopping, Self.unknown) }
    if revoked.contains(identity.serial) { return Goodbye(.rejected, "the certificate is revoked") }
    return identity.expires < Date()
      ? Goodbye(.rejected, "the certificate expired on \(identity.expires.day); enrol again") : nil
  }

  /// The message to clients while the list cannot be read; they are admitted again afterwards.
  private static let unknown = "the server cannot read the list of revoked certificates"

  /// The serial numbers of revoked certificates; nil if they are unknown. Throws ``StoreError``.
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

  /// Notifies the observer, at most once a minute.
  private func complain(_ error: CertificateError, _ state: inout State) {
    let now = ContinuousClock.now
    guard state.complained.map({ now - $0 >= .seconds(60) }) ?? true else { return }
    state.complained = now
    observer(.revocationsUnknown(reason: error.description))
  }

  /// The reason why a new device gets no certificate.
  struct EnrolmentRejected: Error, CustomStringConvertible {
    let description: String
  }

  /// Issues the certificate for an enrolment code. Throws ``EnrolmentRejected`` or ``StoreError``.
  func enrol(_ request: EnrolmentRequest) throws -> IssuedCertificate {
    do {
      guard let folder, try folder.canIssue else {
        throw EnrolmentRejected(description: "this server does not issue certificates")
      }
      // Keeps the code unused until clients can be admitted again.
      guard try revoked != nil else { throw EnrolmentRejected(description: Self.unknown) }
      guard Hello.isValid(name: request.name),
        let certificate = try folder.issue(
          request.request, name: request.name, days: Certificate.Role.client.days, for: request.secret)
      else {
        throw EnrolmentRejected(
          description:
            "the code is mistyped, used, revoked, or older than \(CertificateFolder.enrolmentHours) hours"
        )
      }
      return IssuedCertificate(certificate: certificate.pem)
    } catch let error as CertificateError {
      throw EnrolmentRejected(description: error.description)
    }
  }
}
