import Foundation

/// An identity in three files, NAME.crt, NAME.key and authority.crt.
///
/// They are replaced so that a reader finds three that belong together at any moment, also after a crash: the new key
/// and authority first lie beside the old ones, as NAME.key.new and authority.crt.new; then the certificate is replaced;
/// then the others take their places.
struct IdentityFiles: Sendable {
  let files: KeyFiles
  /// "client" or "server".
  let name: String

  private static let authority = "authority.crt"

  private var certificate: String { "\(name).crt" }
  private var key: String { "\(name).key" }
  private static func new(_ file: String) -> String { "\(file).new" }

  /// Writes a key that waits for its certificate. Throws ``CertificateError``.
  func draft(_ key: PrivateKey) throws(CertificateError) {
    // A replacement that was interrupted may need the key that waits.
    if try files.exists(certificate), let found = try? search() { try settle(found.waiting) }
    try files.write(key.pem, to: Self.new(self.key))
  }

  /// Removes the key that waits.
  func dropDraft() { _ = try? files.remove(Self.new(key)) }

  /// Replaces the identity. Throws ``CertificateError``.
  ///
  /// - Parameter authority: nil if the folder's authority has issued the certificate.
  func replace(
    key: PrivateKey, certificate: Certificate, authority: Certificate? = nil
  ) throws(CertificateError) {
    try draft(key)
    if let authority { try files.write(authority.pem, to: Self.new(Self.authority)) }
    try files.write(certificate.pem, to: self.certificate)
    try settle([Self.new(self.key)] + (authority == nil ? [] : [Self.new(Self.authority)]))
  }

  /// Moves new files to their places.
  private func settle(_ waiting: [String]) throws(CertificateError) {
    for file in waiting { try files.move(file, to: String(file.dropLast(".new".count))) }
  }

  /// The identity. Throws ``CertificateError``, which names the file.
  var identity: Identity {
    get throws(CertificateError) {
      while true {
        let before = stamp
        do throws(CertificateError) {
          return try search().identity
        } catch {
          // Parts of two identities were read if one replaced the other meanwhile.
          if stamp == before { throw error }
        }
      }
    }
  }

  private var stamp: [String] {
    files.stamp([certificate, key, Self.new(key), Self.authority, Self.new(Self.authority)])
  }

  /// Returns the certificate with the key and the authority that belong to it, and those of their files that still wait.
  private func search() throws(CertificateError) -> (identity: Identity, waiting: [String]) {
    let certificate: Certificate = try CertificateFolder.read(files.url(self.certificate))
    var problem: CertificateError?
    for authority in [Self.authority, Self.new(Self.authority)] {
      for key in [self.key, Self.new(self.key)] {
        let waiting = [key, authority].filter { $0.hasSuffix(".new") }
        guard try exist(waiting) else { continue }
        do throws(CertificateError) {
          let identity = try Identity(
            certificate: certificate, key: try CertificateFolder.read(files.url(key)),
            authority: try CertificateFolder.read(files.url(authority)))
          return (identity, waiting)
        } catch {
          problem = problem ?? error
        }
      }
    }
    throw problem ?? CertificateError("\(files.url(key).path): there is no such file")
  }

  private func exist(_ names: [String]) throws(CertificateError) -> Bool {
    for name in names where try !files.exists(name) { return false }
    return true
  }
}
